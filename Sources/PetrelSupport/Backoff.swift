/// How long to wait before the next attempt: a pause that doubles up to a limit, with jitter so that a fleet does not
/// come back in step.
public struct Backoff: Sendable {
    private let first: Duration
    private let longest: Duration
    private var next: Duration

    public init(first: Duration = .milliseconds(500), longest: Duration = .seconds(60)) {
        self.first = first
        self.longest = longest
        next = first
    }

    /// The pause before the next attempt: between half of the nominal one and all of it.
    public mutating func pause(using random: inout some RandomNumberGenerator) -> Duration {
        let nominal = next
        next = min(next * 2, longest)
        return nominal * Double.random(in: 0.5...1, using: &random)
    }

    /// The connection held: the next failure starts from the shortest pause again.
    public mutating func succeeded() { next = first }
}
