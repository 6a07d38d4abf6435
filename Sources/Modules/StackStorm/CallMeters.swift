import CoreMetrics
import PetrelSupport

/// The metrics of StackStorm API calls.
struct CallMeters: Sendable {
    private let metrics: any MetricsFactory
    private let duration: CoreMetrics.Timer
    private let counters = Locked<[String: Counter]>([:])

    init(_ metrics: any MetricsFactory) {
        self.metrics = metrics
        duration = CoreMetrics.Timer(label: "petrel_stackstorm_call_seconds", dimensions: [], factory: metrics)
    }

    /// Records the outcome and the duration of a call.
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
