/// The clock of a remote service, derived from the `Date` header of its responses (RFC 9110, section 6.6.1).
///
/// Use it to compare the timestamps of a service with the current time if the local clock may be wrong.
public struct RemoteClock: Sendable {
    private static let interval = Duration.seconds(10)

    private var noted: (seconds: Int64, at: ContinuousClock.Instant)?

    /// Creates a clock that is not set.
    public init() {}

    /// Sets the clock from a `Date` header, at most once in ten seconds. A missing or invalid header is ignored.
    public mutating func note(_ header: String?, at now: ContinuousClock.Instant = .now) {
        if let noted, noted.at.duration(to: now) < Self.interval { return }
        if let seconds = header.flatMap({ UTCTime.seconds(header: $0) }) { noted = (seconds, now) }
    }

    /// Returns the time of the service in seconds since 1970, or nil if the clock is not set.
    ///
    /// The result may be late by the resolution of the header, one second, and by the time that the response took.
    public func seconds(at now: ContinuousClock.Instant = .now) -> Double? {
        noted.map { Double($0.seconds) + $0.at.duration(to: now) / .seconds(1) }
    }
}
