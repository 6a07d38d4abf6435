import Foundation
import PetrelKit
import PetrelSupport
import XMLStream

/// A chat message, parsed from a stanza.
struct XMPPMessage: Sendable, Equatable {
    enum Kind: Sendable {
        case chat, groupchat
    }

    var from: JID
    var kind: Kind
    var id: String?
    /// The ID that the sender's client assigned (XEP-0359). It stays the same when the message is resent.
    var originID: String?
    var thread: String?
    var text: String
    /// True if the sender requests a receipt (XEP-0184).
    var wantsReceipt: Bool
    /// True for a private message from an occupant of a room (XEP-0045, section 7.5).
    var isThroughRoom: Bool
    /// The delays of a delayed message (XEP-0203, XEP-0091), one for each entity that delayed it.
    var delays: [Delay]

    struct Delay: Sendable, Equatable {
        /// The entity that delayed the message.
        var delayedBy: JID?
    }

    /// The maximum length of a thread ID, in bytes. Longer IDs could make the bot's stanzas exceed the server's limit.
    private static let longestThread = 512

    /// Parses a stanza. Returns nil for errors, headlines, corrections (XEP-0308), carbons (XEP-0280), forwarded
    /// messages and messages without a body.
    init?(_ stanza: XMLElement) {
        guard stanza.name == "message", let from = stanza["from"].flatMap({ JID($0) }) else { return nil }
        switch stanza["type"] {
        case "groupchat": kind = .groupchat
        case "chat", "normal", nil: kind = .chat
        default: return nil
        }
        // The command of a corrected message has already run; carbons and forwarded messages are copies.
        guard !stanza.has("replace", XMPPNames.correction),
            !stanza.has("sent", XMPPNames.carbons), !stanza.has("received", XMPPNames.carbons),
            !stanza.has("forwarded", XMPPNames.forward),
            let body = stanza.child("body"), !body.text.isEmpty
        else { return nil }
        self.from = from
        id = stanza["id"]
        originID = stanza.child("origin-id", XMPPNames.ids)?["id"]
        thread = stanza.child("thread").map(\.text).flatMap { Self.isThread($0) ? $0 : nil }
        text = body.text
        wantsReceipt = stanza.has("request", XMPPNames.receipts)
        isThroughRoom = kind == .chat && stanza.has("x", XMPPNames.mucUser)
        delays = stanza.children.filter { Self.isDelay($0) }.map { Delay(delayedBy: $0["from"].flatMap { JID($0) }) }
    }

    private static func isDelay(_ element: XMLElement) -> Bool {
        element.name == "delay" && element.namespace == XMPPNames.delay
            || element.name == "x" && element.namespace == XMPPNames.oldDelay
    }

    /// Returns false for text that is not a plausible thread ID, which clients generate (XEP-0201).
    private static func isThread(_ text: String) -> Bool {
        1...longestThread ~= text.utf8.count
            && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }
    }
}

/// Builds responses to requests. Every request must be answered (RFC 6120, section 8.2.3).
enum XMPPAnswers {
    private static let features = [
        XMPPNames.info, XMPPNames.ping, XMPPNames.version, XMPPNames.muc, XMPPNames.receipts, XMPPNames.ids,
    ]

    /// Returns the response to a request, or nil for any other stanza.
    static func answer(to question: XMLElement, version: String) -> XMLElement? {
        guard question.name == "iq", let type = question["type"], ["get", "set"].contains(type) else { return nil }
        let content = question.children.first
        switch (type, content?.name, content?.namespace) {
        case ("get", "ping", XMPPNames.ping): return result(question, nil)
        case ("get", "query", XMPPNames.version):
            return result(
                question,
                XMLElement(
                    "query", XMPPNames.version, [:],
                    [XMLElement("name", text: "Petrel"), XMLElement("version", text: version)]))
        case ("get", "query", XMPPNames.info) where content?["node"] == nil:
            let identity = XMLElement("identity", "", ["category": "client", "type": "bot", "name": "Petrel"])
            let features = features.map { XMLElement("feature", "", ["var": $0]) }
            return result(question, XMLElement("query", XMPPNames.info, [:], [identity] + features))
        case ("get", "query", XMPPNames.items) where content?["node"] == nil:
            return result(question, XMLElement("query", XMPPNames.items))
        default:
            return XMLElement(
                "iq", "", ["type": "error", "to": question["from"], "id": question["id"]],
                [
                    XMLElement(
                        "error", "", ["type": "cancel"],
                        [XMLElement("service-unavailable", XMPPNames.stanzaErrors)])
                ])
        }
    }

    private static func result(_ question: XMLElement, _ content: XMLElement?) -> XMLElement {
        XMLElement(
            "iq", "", ["type": "result", "to": question["from"], "id": question["id"]], content.map { [$0] } ?? [])
    }
}

/// Builds messages from replies.
enum XMPPContent {
    /// The number of bytes reserved in a stanza for everything except the text.
    private static let margin = 4_000

    /// Returns one message, or several if a stanza would exceed the limit.
    /// - Parameters:
    ///   - isRoom: true for a message to all occupants of a room.
    ///   - xhtml: true to add XHTML-IM (XEP-0071).
    ///   - mostBytes: the maximum size of a stanza, in bytes.
    static func messages(
        _ reply: Reply, to jid: JID, isRoom: Bool, thread: String?, xhtml: Bool, mostBytes: Int
    ) -> [XMLElement] {
        // Plain text must be shown verbatim, without styling (XEP-0393).
        let isStyled = reply.style != .plain || showsFencesOnly(reply.text.trimmingCharacters(in: .newlines))
        let texts = pieces(of: text(of: reply), mostBytes: max(mostBytes - margin, margin) / (xhtml ? 2 : 1))
        return texts.enumerated().map { number, text in
            var message = message(
                text, to: jid, isRoom: isRoom, thread: thread, xhtml: xhtml, isConfidential: reply.isConfidential)
            if !isStyled { message.append(XMLElement("unstyled", XMPPNames.styling)) }
            if number == texts.count - 1 { add(reply.extra["xmpp"], to: &message) }
            return message
        }
    }

    private static func message(
        _ text: String, to jid: JID, isRoom: Bool, thread: String?, xhtml: Bool, isConfidential: Bool
    ) -> XMLElement {
        // Unguessable, so that an error with this ID must come from an entity that received the message.
        let id = UUID().uuidString
        var message = XMLElement(
            "message", "", ["to": jid.description, "type": isRoom ? "groupchat" : "chat", "id": id],
            [XMLElement("body", text: text)])
        if let thread { message.append(XMLElement("thread", text: thread)) }
        message.append(XMLElement("origin-id", XMPPNames.ids, ["id": id]))
        if isConfidential { message.append(XMLElement("no-store", XMPPNames.hints)) }
        if xhtml { message.append(rich(text)) }
        return message
    }

    /// Returns a message with the URL of a file (XEP-0066).
    static func message(
        linking url: URL, to jid: JID, isRoom: Bool, thread: String?, extra: JSONValue?
    ) -> XMLElement {
        var message = message(
            url.absoluteString, to: jid, isRoom: isRoom, thread: thread, xhtml: false, isConfidential: false)
        if let subject = extra?["subject"]?.string { message.append(XMLElement("subject", text: subject)) }
        message.append(outOfBand(url.absoluteString))
        return message
    }

    private static func outOfBand(_ url: String) -> XMLElement {
        XMLElement("x", XMPPNames.outOfBand, [:], [XMLElement("url", text: url)])
    }

    /// Adds the subject and the file URL from StackStorm's `extra.xmpp`.
    private static func add(_ extra: JSONValue?, to message: inout XMLElement) {
        if let subject = extra?["subject"]?.string { message.append(XMLElement("subject", text: subject)) }
        if let url = extra?["url"]?.string { message.append(outOfBand(url)) }
    }

    /// Splits a text into pieces whose escaped form has at most this many bytes. Splits within a grapheme cluster only
    /// if the cluster itself is too large.
    static func pieces(of text: String, mostBytes: Int) -> [String] {
        guard XMLElement.escaped(text).utf8.count > mostBytes else { return [text] }
        var pieces: [String] = []
        var (piece, size) = ("", 0)
        func take(_ part: String) {
            let bytes = XMLElement.escaped(part).utf8.count
            if size + bytes > mostBytes {
                pieces.append(piece)
                (piece, size) = ("", 0)
            }
            piece += part
            size += bytes
        }
        for character in text {
            if character.utf8.count * longestEscape <= mostBytes {
                take(String(character))
            } else {
                for scalar in character.unicodeScalars { take(String(scalar)) }
            }
        }
        return pieces + [piece]
    }

    /// The maximum number of bytes to which escaping may expand one byte: `&quot;`.
    private static let longestEscape = 6

    /// Returns the reply with the text from StackStorm's `extra.xmpp`, if there is one.
    static func shaped(_ reply: Reply) -> Reply {
        guard let own = reply.extra["xmpp"]?["body"]?.string ?? reply.extra["xmpp"]?["text"]?.string else {
            return reply
        }
        var reply = reply
        reply.text = own
        reply.style = .plain
        return reply
    }

    private static func text(of reply: Reply) -> String {
        let text = reply.text.trimmingCharacters(in: .newlines)
        return switch reply.style {
        case .markdown: MarkdownNotation.styling.rewrite(text)
        // Slack's markup uses the same marks as XEP-0393.
        case .mrkdwn: TextBlock.withFencesApart(Mrkdwn.readable(text))
        case .plain: showsFencesOnly(text) ? TextBlock.withFencesApart(text) : text
        }
    }

    /// Returns true if a text contains fenced blocks and nothing else that Message Styling would hide: no other line
    /// that looks like a fence or a quotation.
    private static func showsFencesOnly(_ text: String) -> Bool {
        guard TextBlock.holdsFence(text) else { return false }
        return TextBlock.blocks(of: text).allSatisfy { block in
            switch block {
            case .lines(let lines):
                lines.allSatisfy { !$0.utf8.starts(with: TextBlock.mark.utf8) && $0.utf8.first != UInt8(ascii: ">") }
            case .code(_, let lines): lines.allSatisfy { !$0.utf8.starts(with: TextBlock.mark.utf8) }
            }
        }
    }

    /// Returns the text as XHTML-IM (XEP-0071) with its line breaks.
    private static func rich(_ text: String) -> XMLElement {
        var paragraph = XMLElement("p")
        for (number, line) in text.textLines.enumerated() {
            if number > 0 { paragraph.append(XMLElement("br")) }
            paragraph.nodes.append(.text(String(line)))
        }
        return XMLElement("html", XMPPNames.xhtmlIM, [:], [XMLElement("body", XMPPNames.xhtml, [:], [paragraph])])
    }
}

extension MarkdownNotation {
    /// The notation of Message Styling (XEP-0393).
    static let styling = MarkdownNotation(
        bold: "*", italic: "_", struck: "~", keepsLanguages: true, escape: { $0 },
        link: { label, address in label == address ? address : "\(label) (\(address))" })
}
