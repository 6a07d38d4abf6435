/// Names an occupant during one visit. The nick is no part of it: the next occupant may take it, and it is free text.
enum XMPPOccupantID {
    private static let mark: Unicode.Scalar = "#"

    static func text(in room: JID, _ visit: Int) -> String { "\(room.bare)/\(mark)\(visit)" }

    /// Names the occupant of one message. Where a room does not show who is in it, the next message under the same nick
    /// may be by somebody else.
    static func unknown(in room: JID) -> String { text(in: room, .random(in: 1 << 53..<1 << 62)) }

    /// Returns the visit that an address names, or nil for any other address.
    static func visit(_ jid: JID) -> Int? {
        guard let scalars = jid.resource?.unicodeScalars, scalars.first == mark else { return nil }
        let digits = scalars.dropFirst()
        guard !digits.isEmpty, digits.allSatisfy({ ("0"..."9").contains($0) }) else { return nil }
        return Int(String(String.UnicodeScalarView(digits)))
    }
}
