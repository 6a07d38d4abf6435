import PetrelKit
public import PetrelSupport

/// A clock on which nobody waits, and which tells how long they would have.
public final class HastyClock: Clock {
    public typealias Instant = ContinuousClock.Instant

    public let sleeps = Locked<[Duration]>([])
    public var now: Instant { .now }
    public var minimumResolution: Duration { .zero }

    public init() {}

    public func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        sleeps.withLock { $0.append(ContinuousClock.now.duration(to: deadline)) }
        try Task.checkCancellation()
        await Task.yield()
    }
}
