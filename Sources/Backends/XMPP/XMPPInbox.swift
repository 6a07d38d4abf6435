import Crypto
import Foundation
import Logging
import PetrelKit

/// What people write, made into messages, and what everything else that comes is answered.
actor XMPPInbox {
    private let settings: XMPPSettings
    private let link: XMPPLink
    private let rooms: XMPPRooms
    private let seen: SeenMessages
    private let version: String
    private let logger: Logger
    private let isMeant: @Sendable (ChatMessage) -> Bool
    private let deliver: @Sendable (ChatMessage) async -> Void
    /// Who was told that something came too late.
    private var told: Set<String> = []
    private static let mostTold = 1_000

    /// - Parameter isMeant: whether a message is for the bot.
    init(
        _ settings: XMPPSettings, _ link: XMPPLink, _ rooms: XMPPRooms, _ seen: SeenMessages, version: String,
        _ logger: Logger, isMeant: @escaping @Sendable (ChatMessage) -> Bool,
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

    /// Takes one stanza.
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
        default: logger.debug("The server sent <\(stanza.name)>, which is left out.")
        }
    }

    private func post(_ stanza: XMLElement) {
        do {
            try link.post(stanza)
        } catch {
            logger.debug("There is no connection for an answer any more.")
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
        if let error = StanzaError(stanza) { return cameBack(stanza, error) }
        guard !isShown(stanza), let message = XMPPMessage(stanza), let chat = chat(message) else { return }
        let mark = message.originID.map { Self.mark(of: $0, from: chat.sender) }
        guard isNow(message) else {
            // It may have run before: the server did not hear that it had come.
            if let mark, await seen.contains(mark) { return }
            return missed(message, chat)
        }
        if message.wantsReceipt, message.kind == .chat, let id = message.id {
            post(
                XMLElement(
                    "message", "", ["to": message.from.description, "type": "chat"],
                    [XMLElement("received", XMPPNames.receipts, ["id": id]), XMLElement("store", XMPPNames.hints)]))
        }
        // One that was sent again because nobody acknowledged it.
        if let mark, isMeant(chat), await !seen.isNew(mark) { return }
        await deliver(chat)
    }

    /// However long the names are that others give. By the name: an occupant who comes in again repeats what they said.
    private static func mark(of origin: String, from sender: Person) -> String {
        let digest = SHA256.hash(data: Data("\(sender.name) \(origin)".utf8))
        return Data(digest).base64EncodedString()
    }

    /// Whether a room shows what the bot has said.
    private func isShown(_ stanza: XMLElement) -> Bool {
        guard stanza["type"] == "groupchat", let from = stanza["from"].flatMap({ JID($0) }) else { return false }
        // A service may give it another id, but not another origin.
        let ids = [stanza["id"], stanza.child("origin-id", XMPPNames.ids)?["id"]]
        return ids.contains { link.confirmations.settle($0, from: from, nil) }
    }

    /// What was on its way while the connection was away for a moment is as good as said now. All else that was kept for
    /// somebody, the past of a room and what was sent to an absent bot, is not run: too much may have changed since.
    private func isNow(_ message: XMPPMessage) -> Bool {
        if message.delays.isEmpty { return true }
        guard link.isResumed else { return false }
        return message.delays.allSatisfy { delay in delay.keeper.map { isOurServer($0) } ?? false }
    }

    private func isOurServer(_ jid: JID) -> Bool {
        jid == JID(domain: settings.jid.domain) || jid.bare == settings.jid.bare
    }

    /// Whoever waits for an answer is told that there is none.
    private func missed(_ message: XMPPMessage, _ chat: ChatMessage) {
        guard message.kind == .chat, chat.sender.isStable, isMeant(chat), told.count < Self.mostTold,
            told.insert(chat.sender.id).inserted
        else { return }
        let text = "What you wrote while I was away was not run. Please send it again if it still matters."
        post(
            XMLElement("message", "", ["to": chat.sender.id, "type": "chat"], [XMLElement("body", text: text)]))
    }

    private func cameBack(_ stanza: XMLElement, _ error: StanzaError) {
        guard let from = stanza["from"].flatMap({ JID($0) }) else { return }
        if from.resource == nil, error.isOutside { rooms.isOutside(from) }
        if !link.confirmations.settle(stanza["id"], from: from, error) {
            logger.info("A message to \(from) came back: \(error)")
        }
    }

    /// Nil for what the bot itself said, and for what no room of ours says.
    private func chat(_ message: XMPPMessage) -> ChatMessage? {
        let chat = message.kind == .groupchat ? saidInRoom(message) : saidAlone(message)
        return chat?.sender.id == settings.jid.bare.description ? nil : chat
    }

    private func saidAlone(_ message: XMPPMessage) -> ChatMessage? {
        guard let room = rooms.room(message.from) else {
            // Not what claims to come through a room that the bot is not in: whoever says that would go by another name
            // than their own.
            if message.isThroughRoom { return nil }
            return ChatMessage(
                id: XMPPMessageID(message.from).text, sender: account(message.from), thread: message.thread,
                text: message.text)
        }
        // Nor what a room itself says.
        guard let nick = message.from.resource else { return nil }
        let occupant = room.occupant(nick)
        return ChatMessage(
            id: id(of: message, by: occupant), sender: person(message.from, occupant), thread: message.thread,
            text: message.text)
    }

    private func saidInRoom(_ message: XMPPMessage) -> ChatMessage? {
        // Without a resource it is the room itself that speaks.
        guard let room = rooms.room(message.from), let nick = message.from.resource, !room.isOwn(nick) else {
            return nil
        }
        let occupant = room.occupant(nick)
        let (text, isAddressed) = Self.addressed(message.text, to: room.names)
        return ChatMessage(
            id: id(of: message, by: occupant), sender: person(message.from, occupant),
            room: Room(id: room.jid.description, name: room.jid.description), thread: message.thread, text: text,
            isAddressed: isAddressed)
    }

    private func id(of message: XMPPMessage, by occupant: XMPPRoom.Occupant?) -> String {
        let id = occupant?.jid.map { XMPPMessageID($0) } ?? XMPPMessageID(message.from, visit: occupant?.visit)
        return id.text
    }

    /// Somebody whose server vouches for who they are.
    private func account(_ jid: JID) -> Person { Person(id: jid.bare.description, name: jid.bare.description) }

    /// An occupant: by the account where the room shows it, else by the visit. The nick is only a name, which anybody
    /// may take.
    private func person(_ jid: JID, _ occupant: XMPPRoom.Occupant?) -> Person {
        if let account = occupant?.jid { return self.account(account) }
        let id =
            occupant.map { XMPPOccupantID.text(in: jid, $0.visit) } ?? XMPPOccupantID.unknown(in: jid)
        return Person(id: id, name: jid.description, isStable: false)
    }

    /// `petrel: help` and `petrel, help`, by any of its names.
    static func addressed(_ text: String, to names: [String]) -> (text: String, isAddressed: Bool) {
        for name in names {
            if let rest = rest(of: text, after: name) { return (rest, true) }
        }
        return (text, false)
    }

    /// What follows a name and its mark; nil where it does not begin with them. Case does not count.
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

/// Names a message by who wrote it: that is who a private answer goes to.
struct XMPPMessageID: Equatable {
    var sender: JID
    /// The one during which an occupant wrote it: afterwards somebody else may have their nick. Nil for accounts.
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

    /// Unique.
    var text: String { "\(UInt64.random(in: .min ... .max)) \(visit.map(String.init) ?? "-") \(sender)" }
}
