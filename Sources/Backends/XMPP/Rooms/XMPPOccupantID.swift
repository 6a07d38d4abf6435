/// Builds IDs of room occupants: `room@host/#VISIT`. The ID identifies an occupant during one visit. It does not
/// contain the nick, which is free text and may pass to another occupant.
enum XMPPOccupantID {
    private static let mark: Unicode.Scalar = "#"

    /// Returns the ID of an occupant.
    static func text(in room: JID, _ visit: Int) -> String { "\(room.bare)/\(mark)\(visit)" }

    /// Returns a unique ID for the sender of one message in a room that does not broadcast presence: the next message
    /// with the same nick may have another sender.
    static func unknown(in room: JID) -> String { text(in: room, .random(in: 1 << 53..<1 << 62)) }

    /// Returns the visit of an occupant ID, or nil for any other JID.
    static func visit(_ jid: JID) -> Int? {
        guard let scalars = jid.resource?.unicodeScalars, scalars.first == mark else { return nil }
        let digits = scalars.dropFirst()
        guard !digits.isEmpty, digits.allSatisfy({ ("0"..."9").contains($0) }) else { return nil }
        return Int(String(String.UnicodeScalarView(digits)))
    }
}
