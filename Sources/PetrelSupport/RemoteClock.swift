/// The clock of a service, as the `Date` header of its answers tells it (RFC 9110, section 6.6.1): ours may be wrong.
public struct RemoteClock: Sendable {
    private static let interval = Duration.seconds(10)

    private var noted: (seconds: Int64, at: ContinuousClock.Instant)?

    public init() {}

    public mutating func note(_ header: String?, at now: ContinuousClock.Instant = .now) {
        if let noted, noted.at.duration(to: now) < Self.interval { return }
        if let seconds = header.flatMap({ UTCTime.seconds(header: $0) }) { noted = (seconds, now) }
    }

    /// Seconds since 1970, some of them too few at most; nil where nothing is known.
    public func seconds(at now: ContinuousClock.Instant = .now) -> Double? {
        noted.map { Double($0.seconds) + $0.at.duration(to: now) / .seconds(1) }
    }
}
