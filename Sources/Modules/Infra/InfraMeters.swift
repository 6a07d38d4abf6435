import AWSClient
import CoreMetrics
import PetrelSupport

/// The metrics of searches.
struct InfraMeters: Sendable {
    private let metrics: any MetricsFactory
    private let duration: CoreMetrics.Timer
    private let counters = Locked<[String: Counter]>([:])

    init(_ metrics: any MetricsFactory) {
        self.metrics = metrics
        duration = CoreMetrics.Timer(label: "petrel_infra_search_seconds", dimensions: [], factory: metrics)
    }

    /// Records a search and its duration; nil if the whole result was remembered.
    func searched(_ result: SearchResult, _ time: Duration?) {
        let outcome =
            if result.searched.isEmpty { "failed" } else if !result.failures.isEmpty { "partial" } else {
                result.total == 0 ? "none" : "found"
            }
        count("petrel_infra_searches_total", [("outcome", outcome)])
        if let time { duration.recordNanoseconds(time.nanoseconds) }
    }

    /// Records a check of the session of an account, which creates or renews it where necessary; nil for success.
    func prepared(_ account: String, _ error: AWSError?) {
        count(
            "petrel_infra_sessions_total", [("account", account), ("outcome", error?.code.rawValue ?? "ok")])
    }

    /// Records the search of an account and region. The outcome is `ok` or the raw value of an `AWSError.Code`.
    func called(_ account: String, _ outcome: String) {
        count("petrel_infra_calls_total", [("account", account), ("outcome", outcome)])
    }

    private func count(_ label: String, _ dimensions: [(String, String)]) {
        let key = ([label] + dimensions.map(\.1)).joined(separator: "\u{1F}")
        let counter = counters.withLock { counters in
            if let counter = counters[key] { return counter }
            let counter = Counter(label: label, dimensions: dimensions, factory: metrics)
            counters[key] = counter
            return counter
        }
        counter.increment()
    }

    /// The help texts.
    static let help = [
        "petrel_infra_searches_total": "Searches for instances by outcome.",
        "petrel_infra_calls_total": "Searches of one region of an account by account and outcome.",
        "petrel_infra_sessions_total":
            "Checks of the session of an account, every four minutes, by account and outcome.",
        "petrel_infra_search_seconds": "Duration of searches for instances, in seconds.",
    ]
}
