import PetrelKit
public import PetrelSupport

/// A clock that stands still, and whose sleeps return at once. It records their durations, and a test can advance it.
public final class HastyClock: Clock {
    /// An instant of the continuous clock.
    public typealias Instant = ContinuousClock.Instant

    /// The durations of all sleeps.
    public let sleeps = Locked<[Duration]>([])
    private let start = Instant.now
    private let ahead = Locked(Duration.zero)
    /// The instant at which the clock was created, later by the time that the clock was advanced.
    public var now: Instant { start + ahead.value }
    /// Zero.
    public var minimumResolution: Duration { .zero }

    /// Creates a clock.
    public init() {}

    /// Advances the clock.
    public func advance(by duration: Duration) { ahead.withLock { $0 += duration } }

    /// Records the duration, and returns after a yield. Throws if the task is cancelled.
    public func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        sleeps.withLock { $0.append(now.duration(to: deadline)) }
        try Task.checkCancellation()
        await Task.yield()
    }
}
