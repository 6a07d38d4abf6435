import PetrelKit

/// Why a stanza came back (RFC 6120, section 8.3).
struct StanzaError: Error, Sendable, Equatable, CustomStringConvertible {
    /// RFC 6120, section 8.3.2: `wait` where trying again may help.
    var type: String?
    /// RFC 6120, section 8.3.3.
    var condition: String
    var text: String?

    /// Nil for any stanza but an error.
    init?(_ stanza: XMLElement) {
        guard stanza["type"] == "error" else { return nil }
        let error = stanza.child("error")
        let children = (error?.children ?? []).filter { $0.namespace == XMPPNames.stanzaErrors }
        type = error?["type"]
        condition = (children.first { $0.name != "text" }?.name ?? "undefined-condition").excerpt(60)
        text = children.first { $0.name == "text" }.map { $0.text.excerpt() }
    }

    /// From a room: the bot is not in it, or there is no such room any more.
    var isOutside: Bool { ["not-acceptable", "item-not-found"].contains(condition) }

    var description: String { "\(condition)\(text.map { " (\($0))" } ?? "")" }

    /// What is to be done about a message of ours that came back.
    func failure(of target: JID, isRoom: Bool) -> SendFailure {
        switch condition {
        // It will be again.
        case _ where isRoom && isOutside:
            SendFailure("the bot is not in \(target) at the moment", .later(after: nil))
        case "forbidden" where isRoom:
            SendFailure("the bot may not speak in \(target), which is moderated: it needs a voice there", .never)
        // By far the most frequent: too much at once.
        case "policy-violation", "resource-constraint", "remote-server-timeout", "remote-server-not-found":
            SendFailure("\(target) does not take it now: \(self)", .later(after: nil))
        default:
            SendFailure("\(target) does not take it: \(self)", type == "wait" ? .later(after: nil) : .never)
        }
    }
}
