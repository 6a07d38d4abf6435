import CoreMetrics
import PetrelCore
import PetrelKit
import PetrelSupport

/// What each metric says, for Prometheus.
enum Help {
    static let metrics = [
        "petrel_messages_received_total": "Messages that backends handed over.",
        "petrel_messages_sent_total": "Messages that backends took.",
        "petrel_messages_undelivered_total": "Messages that no backend took, after every attempt.",
        "petrel_commands_total": "Commands by outcome.",
        "petrel_time_to_ack_seconds": "From a message to the end of its command's first answer.",
        "petrel_commands_running": "Commands that run.",
        "petrel_commands_waiting": "Commands that wait for their turn.",
        "petrel_replies_waiting": "Replies that wait to be sent.",
    ]
}

/// Numbers that are read when Prometheus asks.
enum Gauges {
    static func update(_ metrics: any MetricsFactory, host: Host, reporters: [any GaugeReporting]) {
        func set(_ name: String, _ labels: [(String, String)], _ value: Double) {
            Gauge(label: name, dimensions: labels, factory: metrics).record(value)
        }
        let load = host.dispatcher.load
        set("petrel_commands_running", [], Double(load.running))
        set("petrel_commands_waiting", [], Double(load.waiting))
        set("petrel_replies_waiting", [], Double(host.delivery.depth))
        for gauge in reporters.flatMap({ $0.gauges() }) { set(gauge.name, gauge.labels, gauge.value) }
    }
}
