/// A rate limiter with a token bucket for each address.
///
/// The limiter reads no clock: its caller passes the time.
public struct RateLimit: Sendable {
    private struct Bucket {
        var left: Double
        var at: ContinuousClock.Instant
    }

    private let burst: Double
    private let perSecond: Double
    private let capacity: Int
    private var buckets: [String: Bucket] = [:]

    /// Creates a rate limiter.
    ///
    /// - Parameters:
    ///   - burst: The maximum number of requests at once, which is the size of a bucket.
    ///   - perSecond: The number of requests per second that are added to a bucket.
    ///   - capacity: The maximum number of addresses in memory.
    public init(burst: Int, perSecond: Double, capacity: Int = 10_000) {
        self.burst = Double(burst)
        self.perSecond = perSecond
        self.capacity = capacity
    }

    /// Takes a request from the bucket of an address, or of the /64 network of an IPv6 address.
    ///
    /// - Returns: Nil if the request may pass; otherwise the number of seconds until the next one may.
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

    /// Removes full buckets, which hold no information. If all buckets are in use, removes all of them: the limit on
    /// memory takes precedence over the limit on requests.
    private mutating func forget(at now: ContinuousClock.Instant) {
        buckets = buckets.filter { $0.value.left + perSecond * ($0.value.at.duration(to: now) / .seconds(1)) < burst }
        if buckets.count >= capacity { buckets = [:] }
    }
}
