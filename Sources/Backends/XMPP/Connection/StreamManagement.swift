import DequeModule

/// The counts of XEP-0198: what the server has of ours, and we of its.
struct StreamManagement: Sendable {
    /// One stanza that the server has not acknowledged.
    struct Outgoing: Sendable {
        var stanza: XMLElement
        var fate: Fate
    }

    /// Whether the server has a stanza: whoever sent it waits for that.
    typealias Fate = Promised<Bool>

    /// Names the stream where it can be resumed.
    var resumption: String?
    private(set) var isOn = false
    /// Stanzas of the server's that were taken.
    private(set) var received: UInt32 = 0
    /// The count of the last one that the server has acknowledged.
    private var acknowledged: UInt32 = 0
    private(set) var unacknowledged: Deque<Outgoing> = []

    /// A new stream with counts of its own.
    mutating func begin(resumption: String?) {
        isOn = true
        self.resumption = resumption
        received = 0
        acknowledged = 0
    }

    mutating func take() { if isOn { received &+= 1 } }

    /// It was written.
    mutating func send(_ stanza: XMLElement, _ fate: Fate) {
        // Else nobody will tell.
        guard isOn else { return fate.settle(true) }
        unacknowledged.append(Outgoing(stanza: stanza, fate: fate))
    }

    /// What has to be sent again on a stream that goes on, but for what was given up meanwhile, and what is for somebody
    /// in a room: another one may have their nick by now.
    mutating func resend() -> [XMLElement] {
        for outgoing in unacknowledged where outgoing.stanza.has("x", XMPPNames.mucUser) { outgoing.fate.settle(false) }
        unacknowledged.removeAll { $0.fate.value != nil }
        return unacknowledged.map(\.stanza)
    }

    /// The server has this many of ours.
    mutating func acknowledge(_ count: UInt32) {
        // Counts begin anew at 2^32. What the server cannot have is not believed.
        let news = count &- acknowledged
        guard news <= UInt32(clamping: unacknowledged.count) else { return }
        for _ in 0..<news { unacknowledged.popFirst()?.fate.settle(true) }
        acknowledged = count
    }

    /// The stream is over and cannot be resumed: nobody knows of these whether they arrived. The next one counts nothing
    /// until it begins to.
    mutating func giveUp() -> [Outgoing] {
        defer { unacknowledged = [] }
        isOn = false
        resumption = nil
        return Array(unacknowledged)
    }
}
