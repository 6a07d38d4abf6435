import DequeModule
import XMLStream

/// The state of stream management (XEP-0198): the counters of both directions and the unacknowledged stanzas.
struct StreamManagement: Sendable {
    /// A stanza that the server has not acknowledged.
    struct Outgoing: Sendable {
        var stanza: XMLElement
        var acknowledgement: Acknowledgement
    }

    /// A promise for the sender of a stanza: true once the server acknowledges it, false if its delivery is unknown.
    typealias Acknowledgement = Promised<Bool>

    /// The ID for resuming the stream, or nil if it cannot be resumed.
    var resumption: String?
    /// True while stream management is enabled.
    private(set) var isOn = false
    /// The number of stanzas received from the server, modulo 2^32.
    private(set) var received: UInt32 = 0
    /// The number of stanzas that the server has acknowledged, modulo 2^32.
    private var acknowledged: UInt32 = 0
    private(set) var unacknowledged: Deque<Outgoing> = []

    /// Enables stream management on a new stream and resets the counters.
    mutating func begin(resumption: String?) {
        isOn = true
        self.resumption = resumption
        received = 0
        acknowledged = 0
    }

    /// Counts a received stanza.
    mutating func take() { if isOn { received &+= 1 } }

    /// Records that a stanza was written. Without stream management it counts as delivered at once.
    mutating func send(_ stanza: XMLElement, _ acknowledgement: Acknowledgement) {
        guard isOn else { return acknowledgement.settle(true) }
        unacknowledged.append(Outgoing(stanza: stanza, acknowledgement: acknowledgement))
    }

    /// Returns the stanzas to resend on a resumed stream. Drops those that the sender gave up, and private messages to
    /// occupants of rooms, whose nick may belong to another person now.
    mutating func resend() -> [XMLElement] {
        for outgoing in unacknowledged where outgoing.stanza.has("x", XMPPNames.mucUser) {
            outgoing.acknowledgement.settle(false)
        }
        unacknowledged.removeAll { $0.acknowledgement.value != nil }
        return unacknowledged.map(\.stanza)
    }

    /// Processes an acknowledgement. Ignores a count that exceeds the number of stanzas sent.
    /// - Parameter count: the server's `h` value, which wraps at 2^32.
    mutating func acknowledge(_ count: UInt32) {
        let news = count &- acknowledged
        guard news <= UInt32(clamping: unacknowledged.count) else { return }
        for _ in 0..<news { unacknowledged.popFirst()?.acknowledgement.settle(true) }
        acknowledged = count
    }

    /// Disables stream management when the stream cannot be resumed. Returns the unacknowledged stanzas, whose delivery
    /// is unknown.
    mutating func giveUp() -> [Outgoing] {
        defer { unacknowledged = [] }
        isOn = false
        resumption = nil
        return Array(unacknowledged)
    }
}
