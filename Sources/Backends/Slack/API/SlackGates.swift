/// The rate limits that are in effect (https://docs.slack.dev/apis/web-api/rate-limits). Each method has its own limit;
/// `chat.*` methods have one per channel. Calls are held back locally, because a call during a limit may
/// extend it.
struct SlackGates {
    struct Key: Hashable {
        var method: String
        var channel: String?

        init(_ method: String, channel: String?) {
            self.method = method
            self.channel = method.hasPrefix("chat.") ? channel : nil
        }
    }

    private static let capacity = 1_000

    private var closed: [Key: ContinuousClock.Instant] = [:]

    /// Returns the remaining time of a rate limit; nil if the call may be made.
    mutating func pause(at key: Key, now: ContinuousClock.Instant = .now) -> Duration? {
        guard !closed.isEmpty, let end = closed[key] else { return nil }
        if end > now { return now.duration(to: end) }
        closed[key] = nil
        return nil
    }

    /// Blocks a call for the duration that Slack asked for.
    mutating func close(_ key: Key, for pause: Duration, now: ContinuousClock.Instant = .now) {
        if closed.count >= Self.capacity { closed = closed.filter { $0.value > now } }
        if closed.count < Self.capacity { closed[key] = now + pause }
    }
}
