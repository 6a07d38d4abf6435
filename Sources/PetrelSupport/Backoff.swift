/// An exponential backoff with jitter.
///
/// The pause doubles with each attempt up to a limit. Jitter prevents a fleet of clients from reconnecting at the same
/// time.
public struct Backoff: Sendable {
    private let first: Duration
    private let longest: Duration
    private var next: Duration

    /// Creates a backoff.
    ///
    /// - Parameters:
    ///   - first: The nominal pause before the first attempt.
    ///   - longest: The maximum nominal pause.
    public init(first: Duration = .milliseconds(500), longest: Duration = .seconds(60)) {
        self.first = first
        self.longest = longest
        next = first
    }

    /// Returns the pause before the next attempt, and doubles the nominal pause for the attempt after it.
    ///
    /// - Returns: A random duration between half of the nominal pause and the whole of it.
    public mutating func pause(using random: inout some RandomNumberGenerator) -> Duration {
        let nominal = next
        next = min(next * 2, longest)
        return nominal * Double.random(in: 0.5...1, using: &random)
    }

    /// Resets the backoff, so that the next pause is the shortest again.
    public mutating func succeeded() { next = first }
}
