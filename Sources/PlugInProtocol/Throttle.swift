/// Limits the rate at which a stream is read: a token bucket of bytes, or of lines.
///
/// The throttle reads no clock: its caller passes the time.
struct Throttle: Sendable {
    private let burst: Double
    private let perSecond: Double
    private var left: Double
    private var last: ContinuousClock.Instant?

    init(burst: Double, perSecond: Double) {
        self.burst = burst
        self.perSecond = perSecond
        left = burst
    }

    /// Takes an amount, which may exceed what is left.
    /// - Returns: The time after which the amount is within the rate; zero if it is now.
    mutating func take(_ amount: Double, at now: ContinuousClock.Instant) -> Duration {
        refill(at: now)
        left -= amount
        return left >= 0 ? .zero : .seconds(-left / perSecond)
    }

    /// Takes one if one is left.
    mutating func takeOne(at now: ContinuousClock.Instant) -> Bool {
        refill(at: now)
        guard left >= 1 else { return false }
        left -= 1
        return true
    }

    private mutating func refill(at now: ContinuousClock.Instant) {
        if let last { left = min(burst, left + perSecond * (last.duration(to: now) / .seconds(1))) }
        last = now
    }
}
