import PetrelKit
public import PetrelSupport

/// A clock whose sleeps return at once. It records their durations.
public final class HastyClock: Clock {
    /// An instant of the continuous clock.
    public typealias Instant = ContinuousClock.Instant

    /// The durations of all sleeps.
    public let sleeps = Locked<[Duration]>([])
    /// The current instant of the continuous clock.
    public var now: Instant { .now }
    /// Zero.
    public var minimumResolution: Duration { .zero }

    /// Creates a clock.
    public init() {}

    /// Records the duration, and returns after a yield. Throws if the task is cancelled.
    public func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        sleeps.withLock { $0.append(ContinuousClock.now.duration(to: deadline)) }
        try Task.checkCancellation()
        await Task.yield()
    }
}
