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
        "petrel_announcements_total": "Announcements of StackStorm by outcome.",
        "petrel_stackstorm_calls_total": "Calls of StackStorm's API by outcome.",
        "petrel_stackstorm_call_seconds": "How long calls of StackStorm's API took.",
        "petrel_stream_age_seconds": "Since the last byte of StackStorm's stream; -1 before the first.",
        "petrel_stream_reconnects": "How often the stream was connected again.",
        "petrel_results_open": "Executions started from chat whose results are to come.",
        "petrel_results_replayed": "Announcements read from the history because the stream did not bring them.",
        "petrel_aliases": "Aliases of the last sync.",
        "petrel_commands_running": "Commands that run.",
        "petrel_commands_waiting": "Commands that wait for their turn.",
        "petrel_replies_waiting": "Replies that wait to be sent.",
    ]
}

/// Counts calls of StackStorm.
struct CallMeters: Sendable {
    private let metrics: any MetricsFactory
    private let duration: CoreMetrics.Timer
    private let counters = Locked<[String: Counter]>([:])

    init(_ metrics: any MetricsFactory) {
        self.metrics = metrics
        duration = CoreMetrics.Timer(label: "petrel_stackstorm_call_seconds", dimensions: [], factory: metrics)
    }

    func note(_ outcome: String, _ time: Duration) {
        let counter = counters.withLock { counters in
            if let counter = counters[outcome] { return counter }
            let counter = Counter(
                label: "petrel_stackstorm_calls_total", dimensions: [("outcome", outcome)], factory: metrics)
            counters[outcome] = counter
            return counter
        }
        counter.increment()
        duration.recordNanoseconds(time.nanoseconds)
    }
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
