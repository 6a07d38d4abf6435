/// Builds the IDs of people.
///
/// The ID of a person with an account on the network is the account. Any other person has an ID for one visit, `nick!VISIT`,
/// because the nick may belong to another person later. `!` is not allowed in a nick, and not accepted in an account.
enum IRCIdentity {
    private static let mark: Unicode.Scalar = "!"

    /// Returns true if a text can be the name of an account.
    static func isAccount(_ text: String) -> Bool {
        // `*` and `0` stand for no account.
        guard let first = text.unicodeScalars.first, !"#&+@*:".unicodeScalars.contains(first), text != "0" else {
            return false
        }
        return text.unicodeScalars.allSatisfy { $0 != mark && $0.value > 0x20 && $0 != "," && $0.value != 0x7F }
    }

    /// Returns the ID of a new visit. It is unguessable, and is not used again after a restart.
    static func newVisit(of nick: String) -> String {
        let number = String(UInt64.random(in: 1 << 60...UInt64.max), radix: 16)
        return "\(nick)\(mark)\(number)"
    }

    /// Returns true for the ID of a visit.
    static func isVisit(_ id: String) -> Bool {
        let parts = id.unicodeScalars.split(separator: mark, omittingEmptySubsequences: false)
        return parts.count == 2 && !parts[0].isEmpty && parts[1].count == 16
            && parts[1].allSatisfy { $0.properties.isASCIIHexDigit }
    }

    /// Returns the ID of a message, which contains the ID of its sender for private replies.
    static func message(_ number: Int, from person: String) -> String {
        "\(String(UInt32.random(in: 0...UInt32.max), radix: 16))-\(number)/\(person)"
    }

    /// Returns the ID of the sender of a message.
    static func sender(of message: String) -> String? {
        let parts = message.unicodeScalars.split(separator: "/", maxSplits: 1)
        return parts.count == 2 ? String(parts[1]) : nil
    }
}
