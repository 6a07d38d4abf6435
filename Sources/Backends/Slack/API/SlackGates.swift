/// Which calls Slack has asked to wait with, and for how long (https://docs.slack.dev/apis/web-api/rate-limits): each
/// method has a limit of its own, what is said one for each channel. Asking again before that costs the more.
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

    /// How long is still to wait; nil where nothing is in the way.
    mutating func pause(at key: Key, now: ContinuousClock.Instant = .now) -> Duration? {
        guard !closed.isEmpty, let end = closed[key] else { return nil }
        if end > now { return now.duration(to: end) }
        closed[key] = nil
        return nil
    }

    mutating func close(_ key: Key, for pause: Duration, now: ContinuousClock.Instant = .now) {
        if closed.count >= Self.capacity { closed = closed.filter { $0.value > now } }
        if closed.count < Self.capacity { closed[key] = now + pause }
    }
}
