import Crypto
import Foundation
import Logging
import PetrelKit
import XMLStream

/// Processes incoming stanzas: delivers messages to the host and responds to requests.
actor XMPPInbox {
    private let settings: XMPPSettings
    private let link: XMPPLink
    private let rooms: XMPPRooms
    private let seen: SeenMessages
    private let version: String
    private let logger: Logger
    private let isMeant: @Sendable (inout ChatMessage) -> Bool
    private let deliver: @Sendable (ChatMessage) async -> Void
    /// The senders that were notified of a late message. Each is notified once per connection.
    private var notified: Set<String> = []
    private static let maximumNotified = 1_000

    /// - Parameters:
    ///   - isMeant: returns true for messages to the bot.
    ///   - deliver: delivers a message to the host.
    init(
        _ settings: XMPPSettings, _ link: XMPPLink, _ rooms: XMPPRooms, _ seen: SeenMessages, version: String,
        _ logger: Logger, isMeant: @escaping @Sendable (inout ChatMessage) -> Bool,
        _ deliver: @escaping @Sendable (ChatMessage) async -> Void
    ) {
        self.settings = settings
        self.link = link
        self.rooms = rooms
        self.seen = seen
        self.version = version
        self.logger = logger
        self.isMeant = isMeant
        self.deliver = deliver
    }

    /// Processes a stanza.
    func take(_ stanza: XMLElement) async {
        switch stanza.name {
        case "message": await message(stanza)
        case "presence": presence(stanza)
        case "iq":
            if let answer = XMPPAnswers.answer(to: stanza, version: version) {
                post(answer)
            } else {
                link.answer(stanza)
            }
        default: logger.debug("Ignored an unexpected <\(stanza.name)> from the server.")
        }
    }

    private func post(_ stanza: XMLElement) {
        do {
            try link.post(stanza)
        } catch {
            logger.debug("A response was not sent because the connection is closed.")
        }
    }

    private func presence(_ stanza: XMLElement) {
        guard let from = stanza["from"].flatMap({ JID($0) }) else { return }
        if rooms.isRoom(from) { return rooms.take(stanza, from: from) }
        guard stanza["type"] == "subscribe" else { return }
        let answer = settings.subscriptions == .accept ? "subscribed" : "unsubscribed"
        post(XMLElement("presence", "", ["to": from.bare.description, "type": answer]))
    }

    private func message(_ stanza: XMLElement) async {
        if let error = StanzaError(stanza) { return returned(stanza, error) }
        if let room = stanza["from"].flatMap({ JID($0) }), room.resource == nil, rooms.isRoom(room) {
            return rooms.take(notice: stanza, from: room)
        }
        guard !isReflection(stanza), let message = XMPPMessage(stanza), var chat = chat(message) else { return }
        let mark = message.originID.map { Self.mark(of: $0, from: chat.sender) }
        guard isCurrent(message) else {
            // A server that received no acknowledgement redelivers a message that may have been processed.
            if let mark, await seen.contains(mark) { return }
            return notifyLate(message, chat)
        }
        if message.wantsReceipt, message.kind == .chat, let id = message.id {
            post(
                XMLElement(
                    "message", "", ["to": message.from.description, "type": "chat"],
                    [XMLElement("received", XMPPNames.receipts, ["id": id]), XMLElement("store", XMPPNames.hints)]))
        }
        // Skips duplicates, which clients and servers send after a lost acknowledgement.
        if let mark, isMeant(&chat), await !seen.isNew(mark) { return }
        await deliver(chat)
    }

    /// Returns a key of fixed length for a message. It uses the sender's name, because an occupant who reenters the
    /// room and resends a message has a new ID.
    private static func mark(of origin: String, from sender: Person) -> String {
        let digest = SHA256.hash(data: Data("\(sender.name) \(origin)".utf8))
        return Data(digest).base64EncodedString()
    }

    /// Returns true if a room reflects a message of the bot, and confirms that message.
    private func isReflection(_ stanza: XMLElement) -> Bool {
        guard stanza["type"] == "groupchat", let from = stanza["from"].flatMap({ JID($0) }) else { return false }
        // A service may change the message's ID, but not its origin ID (XEP-0359).
        let ids = [stanza["id"], stanza.child("origin-id", XMPPNames.ids)?["id"]]
        return ids.contains { link.confirmations.settle($0, from: from, .delivered) }
    }

    /// Returns true if a message is current. Messages that the server held back for a resumed stream are. Other delayed
    /// messages, such as room history and offline messages, are not: the situation may have changed since.
    private func isCurrent(_ message: XMPPMessage) -> Bool {
        if message.delays.isEmpty { return true }
        guard link.isResumed else { return false }
        return message.delays.allSatisfy { delay in delay.delayedBy.map { isOurServer($0) } ?? false }
    }

    private func isOurServer(_ jid: JID) -> Bool {
        jid == JID(domain: settings.jid.domain) || jid.bare == settings.jid.bare
    }

    /// Notifies the sender of a direct message that it arrived too late and was not processed.
    private func notifyLate(_ message: XMPPMessage, _ chat: ChatMessage) {
        var chat = chat
        guard message.kind == .chat, chat.sender.isStable, isMeant(&chat), notified.count < Self.maximumNotified,
            notified.insert(chat.sender.id).inserted
        else { return }
        let text =
            "Your message arrived while the bot was offline and was not run. "
            + "Please send it again if it is still needed."
        post(
            XMLElement("message", "", ["to": chat.sender.id, "type": "chat"], [XMLElement("body", text: text)]))
    }

    private func returned(_ stanza: XMLElement, _ error: StanzaError) {
        guard let from = stanza["from"].flatMap({ JID($0) }) else { return }
        if from.resource == nil, error.isOutside { rooms.markOutside(from) }
        if !link.confirmations.settle(stanza["id"], from: from, .returned(error)) {
            logger.info("A message to \(from) was returned with an error: \(error).")
        }
    }

    /// Converts a message. Returns nil for messages of the bot itself, of rooms that are not configured, and of a room
    /// itself.
    private func chat(_ message: XMPPMessage) -> ChatMessage? {
        let chat = message.kind == .groupchat ? roomMessage(message) : privateMessage(message)
        return chat?.sender.id == settings.jid.bare.description ? nil : chat
    }

    private func privateMessage(_ message: XMPPMessage) -> ChatMessage? {
        guard let room = rooms.room(message.from) else {
            // Rejects private messages through rooms that the bot is not in: the sender is an occupant, not an account.
            if message.isThroughRoom { return nil }
            return ChatMessage(
                id: XMPPMessageID(message.from).text, sender: account(message.from), thread: message.thread,
                text: message.text)
        }
        // Without a resource, the room itself is the sender.
        guard let nick = message.from.resource else { return nil }
        let occupant = room.occupant(nick)
        return ChatMessage(
            id: id(of: message, by: occupant), sender: person(message.from, occupant), thread: message.thread,
            text: message.text)
    }

    private func roomMessage(_ message: XMPPMessage) -> ChatMessage? {
        // Without a resource, the room itself is the sender.
        guard let room = rooms.room(message.from), let nick = message.from.resource, !room.isOwn(nick) else {
            return nil
        }
        let occupant = room.occupant(nick)
        let (text, isAddressed) = Self.addressed(message.text, to: room.names)
        return ChatMessage(
            id: id(of: message, by: occupant), sender: person(message.from, occupant),
            room: Room(id: room.jid.description, name: room.jid.description, isPrivate: !room.isPublic),
            thread: message.thread, text: text, isAddressed: isAddressed)
    }

    private func id(of message: XMPPMessage, by occupant: XMPPRoom.Occupant?) -> String {
        let id = occupant?.jid.map { XMPPMessageID($0) } ?? XMPPMessageID(message.from, visit: occupant?.visit)
        return id.text
    }

    /// Returns a person with a stable identity, for which their server vouches.
    private func account(_ jid: JID) -> Person { Person(id: jid.bare.description, name: jid.bare.description) }

    /// Returns an occupant, identified by the account if the room shows it, otherwise by the visit. The nick is only a
    /// name, because anyone may take it.
    private func person(_ jid: JID, _ occupant: XMPPRoom.Occupant?) -> Person {
        if let account = occupant?.jid { return self.account(account) }
        let id =
            occupant.map { XMPPOccupantID.text(in: jid, $0.visit) } ?? XMPPOccupantID.unknown(in: jid)
        return Person(id: id, name: jid.description, isStable: false)
    }

    /// Removes a leading name of the bot, as in `petrel: help` and `petrel, help`.
    static func addressed(_ text: String, to names: [String]) -> (text: String, isAddressed: Bool) {
        for name in names {
            if let rest = rest(of: text, after: name) { return (rest, true) }
        }
        return (text, false)
    }

    /// Returns the text after a name and a colon or comma, or nil if it does not start with them. Ignores case.
    private static func rest(of text: String, after name: String) -> String? {
        var rest = text.unicodeScalars[...]
        for scalar in name.unicodeScalars {
            guard let next = rest.popFirst(), next.properties.lowercaseMapping == scalar.properties.lowercaseMapping
            else { return nil }
        }
        guard let mark = rest.popFirst(), mark == ":" || mark == "," else { return nil }
        return String(String.UnicodeScalarView(rest.drop { $0.properties.isWhitespace }))
    }
}

/// A message ID that contains the sender, to whom private replies are addressed: `RANDOM VISIT JID`.
struct XMPPMessageID: Equatable {
    var sender: JID
    /// The visit of an occupant, because the nick may belong to another person later. Nil for accounts.
    var visit: Int?

    init(_ sender: JID, visit: Int? = nil) {
        self.sender = sender
        self.visit = visit
    }

    init?(_ text: String) {
        let parts = text.unicodeScalars.split(separator: " ", maxSplits: 2).map { String(String.UnicodeScalarView($0)) }
        guard parts.count == 3, let jid = JID(parts[2]) else { return nil }
        sender = jid
        visit = Int(parts[1])
    }

    /// The ID as text. Every access returns another, unique text.
    var text: String { "\(UInt64.random(in: .min ... .max)) \(visit.map(String.init) ?? "-") \(sender)" }
}
