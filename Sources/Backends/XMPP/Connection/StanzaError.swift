import PetrelKit
import XMLStream

/// A stanza error (RFC 6120, section 8.3).
struct StanzaError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The error type (RFC 6120, section 8.3.2). `wait` means that a retry may succeed.
    var type: String?
    /// The defined condition (RFC 6120, section 8.3.3).
    var condition: String
    var text: String?

    /// Reads the error of a stanza. Returns nil unless the stanza's type is `error`.
    init?(_ stanza: XMLElement) {
        guard stanza["type"] == "error" else { return nil }
        let error = stanza.child("error")
        let children = (error?.children ?? []).filter { $0.namespace == XMPPNames.stanzaErrors }
        type = error?["type"]
        condition = (children.first { $0.name != "text" }?.name ?? "undefined-condition").excerpt(60)
        text = children.first { $0.name == "text" }.map { $0.text.excerpt() }
    }

    /// True if the error comes from a room and means that the bot is not an occupant or that the room does not exist.
    var isOutside: Bool { ["not-acceptable", "item-not-found"].contains(condition) }

    var description: String { "\(condition)\(text.map { " (\($0))" } ?? "")" }

    /// Returns the failure of a message of the bot that was returned with this error.
    func failure(of target: JID, isRoom: Bool) -> SendFailure {
        switch condition {
        // The bot joins the room again.
        case _ where isRoom && isOutside:
            SendFailure("the bot is currently not in \(target)", .later(after: nil))
        case "forbidden" where isRoom:
            SendFailure("the room \(target) is moderated and the bot has no voice; grant it voice", .never)
        // Rate limits and unreachable servers are temporary, whatever the error type.
        case "policy-violation", "resource-constraint", "remote-server-timeout", "remote-server-not-found":
            SendFailure("\(target) temporarily rejected the message: \(self)", .later(after: nil))
        default:
            SendFailure("\(target) rejected the message: \(self)", type == "wait" ? .later(after: nil) : .never)
        }
    }
}
