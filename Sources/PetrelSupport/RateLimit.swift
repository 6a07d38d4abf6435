/// How often each address may ask: a bucket of requests that fills again with time. A value that is told the time.
public struct RateLimit: Sendable {
    private struct Bucket {
        var left: Double
        var at: ContinuousClock.Instant
    }

    private let burst: Double
    private let perSecond: Double
    private let capacity: Int
    private var buckets: [String: Bucket] = [:]

    /// - Parameters:
    ///   - burst: requests at once.
    ///   - perSecond: requests that come back in a second.
    ///   - capacity: addresses that are remembered.
    public init(burst: Int, perSecond: Double, capacity: Int = 10_000) {
        self.burst = Double(burst)
        self.perSecond = perSecond
        self.capacity = capacity
    }

    /// Nil where the request may pass; else the seconds after which one will.
    public mutating func take(_ address: String, at now: ContinuousClock.Instant) -> Int? {
        let key = IPNetwork.key(of: address)
        if buckets[key] == nil, buckets.count >= capacity { forget(at: now) }
        var bucket = buckets[key] ?? Bucket(left: burst, at: now)
        bucket.left = min(burst, bucket.left + perSecond * (bucket.at.duration(to: now) / .seconds(1)))
        bucket.at = now
        let passes = bucket.left >= 1
        if passes { bucket.left -= 1 }
        buckets[key] = bucket
        return passes ? nil : Int(((1 - bucket.left) / perSecond).rounded(.up))
    }

    /// Full buckets need no memory. Where all are in use, everybody starts anew: memory comes first.
    private mutating func forget(at now: ContinuousClock.Instant) {
        buckets = buckets.filter { $0.value.left + perSecond * ($0.value.at.duration(to: now) / .seconds(1)) < burst }
        if buckets.count >= capacity { buckets = [:] }
    }
}
