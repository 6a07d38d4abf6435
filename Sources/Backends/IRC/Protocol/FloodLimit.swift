/// A token bucket that keeps the bot below a server's flood limit. It reads no clock: its caller passes the time.
struct FloodLimit: Sendable {
    private let burst: Duration
    private let interval: Duration
    /// The time at which the bucket will be full again.
    private var full: ContinuousClock.Instant?

    /// Creates a limit of `lines` in `period`, which is also the size of a burst.
    init(lines: Int, in period: Duration) {
        interval = period / max(lines, 1)
        burst = interval * (max(lines, 1) - 1)
    }

    /// Reserves the next line. Returns the time to wait before it may be sent.
    mutating func reserve(at now: ContinuousClock.Instant) -> Duration {
        let start = max(full ?? now, now)
        full = start + interval
        return max(now.duration(to: start) - burst, .zero)
    }
}
