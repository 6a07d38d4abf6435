import CoreMetrics
import PetrelCore
import PetrelKit
import PetrelSupport

/// The help texts of metrics, for Prometheus.
enum Help {
    static let metrics = [
        "petrel_messages_received_total": "Messages received from backends.",
        "petrel_messages_sent_total": "Messages sent through backends.",
        "petrel_messages_undelivered_total": "Messages that could not be delivered.",
        "petrel_commands_total": "Commands by outcome.",
        "petrel_time_to_ack_seconds": "Time from the receipt of a message to the end of its command, in seconds.",
        "petrel_commands_running": "Running commands.",
        "petrel_commands_waiting": "Commands waiting to run.",
        "petrel_replies_waiting": "Replies waiting to be sent.",
    ]
}

/// The gauges, which are read when Prometheus requests them.
enum Gauges {
    /// Sets all gauges to their current values.
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
