import PetrelSupport

/// The clocks of the services of AWS, as offsets of the local clock.
///
/// AWS rejects requests that are signed with a time that is off by more than five minutes. The offset is measured with
/// the `Date` of each answer; see RFC 9110, section 6.6.1.
package final class AWSClock: Sendable {
    /// The deviation, in seconds, that counts as the latency of an answer.
    private static let tolerance: Int64 = 120

    private let offsets = Locked<[String: Int64]>([:])
    private let local: @Sendable () -> Int64
    private let changed: @Sendable (_ host: String, _ offset: Int64) -> Void

    /// Creates a clock.
    /// - Parameters:
    ///   - local: Returns the local time in seconds since 1970.
    ///   - changed: A closure that is called when the correction for a host changes.
    package init(
        local: @escaping @Sendable () -> Int64, changed: @escaping @Sendable (_ host: String, _ offset: Int64) -> Void
    ) {
        self.local = local
        self.changed = changed
    }

    /// Returns the time of a host in seconds since 1970.
    package func seconds(of host: String) -> Int64 { local() + offset(of: host) }

    /// The local time in seconds since 1970.
    var localSeconds: Int64 { local() }

    /// Returns the correction for a host, in seconds.
    func offset(of host: String) -> Int64 { offsets.value[host] ?? 0 }

    /// The largest correction, in seconds; zero if the local clock is right.
    package var offset: Int64 { offsets.value.values.max { abs($0) < abs($1) } ?? 0 }

    /// Returns true if a request to a host that was signed with this time would be signed with quite another one now.
    func hasMoved(since time: Int64, at host: String) -> Bool { abs(seconds(of: host) - time) > Self.tolerance }

    /// Measures the offset with the `Date` of an answer.
    func note(_ date: String?, from host: String) {
        guard let remote = date.flatMap({ UTCTime.seconds(header: $0) }) else { return }
        let measured = remote - local()
        let offset = abs(measured) > Self.tolerance ? measured : 0
        let hasChanged = offsets.withLock { offsets in
            let before = offsets[host] ?? 0
            // The measurement varies with the latency.
            guard abs(offset - before) > Self.tolerance else { return false }
            offsets[host] = offset == 0 ? nil : offset
            return true
        }
        if hasChanged { changed(host, offset) }
    }
}
