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
    private let deliver: @Sendable (ChatMessage) async -> Void

    init(
        _ settings: XMPPSettings, _ link: XMPPLink, _ rooms: XMPPRooms, _ seen: SeenMessages, version: String,
        _ logger: Logger, _ deliver: @escaping @Sendable (ChatMessage) async -> Void
    ) {
        self.settings = settings
        self.link = link
        self.rooms = rooms
        self.seen = seen
        self.version = version
        self.logger = logger
        self.deliver = deliver
    }

    /// Takes one stanza.
    func take(_ stanza: XMLElement) async {
        switch stanza.name {
        case "message": await message(stanza)
        case "presence": await presence(stanza)
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

    private func presence(_ stanza: XMLElement) async {
        guard let from = stanza["from"].flatMap({ JID($0) }) else { return }
        if await rooms.isRoom(from) { return await rooms.take(stanza, from: from) }
        guard stanza["type"] == "subscribe" else { return }
        let answer = settings.subscriptions == .accept ? "subscribed" : "unsubscribed"
        post(XMLElement("presence", "", ["to": from.bare.description, "type": answer]))
    }

    private func message(_ stanza: XMLElement) async {
        guard let message = XMPPMessage(stanza), let chat = await chat(message) else { return }
        if message.wantsReceipt, message.kind == .chat, let id = message.id {
            post(
                XMLElement(
                    "message", "", ["to": message.from.description, "type": "chat"],
                    [XMLElement("received", XMPPNames.receipts, ["id": id]), XMLElement("store", XMPPNames.hints)]))
        }
        // One that was sent again because nobody acknowledged it.
        if let id = message.originID, await !seen.isNew("\(chat.sender.id)/\(id)") { return }
        await deliver(chat)
    }

    /// Nil for what the bot itself said, and for what no room of ours says.
    private func chat(_ message: XMPPMessage) async -> ChatMessage? {
        let room = await rooms.room(message.from)
        guard message.kind == .groupchat else {
            if message.from.bare == settings.jid.bare { return nil }
            return ChatMessage(
                id: XMPPMessageID(message.from).text,
                sender: room.map { person(message.from, in: $0) } ?? account(message.from),
                thread: message.thread, text: message.text)
        }
        // Without a resource it is the room itself that speaks.
        guard let room, let nick = message.from.resource, nick != room.nick else { return nil }
        let sender = person(message.from, in: room)
        let (text, isAddressed) = Self.addressed(message.text, to: room.nick)
        return ChatMessage(
            id: XMPPMessageID(message.from).text, sender: sender,
            room: Room(id: room.jid.description, name: room.jid.description), thread: message.thread, text: text,
            isAddressed: isAddressed)
    }

    /// Somebody whose server vouches for who they are.
    private func account(_ jid: JID) -> Person { Person(id: jid.bare.description, name: jid.bare.description) }

    /// An occupant: by the account where the room shows it, else by the nick, which anybody may take.
    private func person(_ jid: JID, in room: XMPPRoom) -> Person {
        if let real = jid.resource.flatMap({ room.occupant($0)?.jid }) { return account(real) }
        return Person(id: jid.description, name: jid.description, isStable: false)
    }

    /// `petrel: help` and `petrel, help`.
    private static func addressed(_ text: String, to nick: String) -> (text: String, isAddressed: Bool) {
        guard text.lowercased().hasPrefix(nick.lowercased()) else { return (text, false) }
        let rest = text.dropFirst(nick.count)
        guard let mark = rest.first, mark == ":" || mark == "," else { return (text, false) }
        return (String(rest.dropFirst().drop { $0.isWhitespace }), true)
    }
}

/// Names a message by who wrote it: that is who a private answer goes to.
struct XMPPMessageID: Equatable {
    private static let mark: Character = " "

    var sender: JID

    init(_ sender: JID) { self.sender = sender }

    init?(_ text: String) {
        guard let jid = text.split(separator: Self.mark, maxSplits: 1).last.flatMap({ JID($0) }) else { return nil }
        sender = jid
    }

    /// Unique.
    var text: String { "\(UInt64.random(in: .min ... .max))\(Self.mark)\(sender)" }
}
