import PetrelKit
import PetrelSupport

extension IRCSession {
    /// Processes a message from a person.
    mutating func text(_ message: IRCMessage) -> [IRCAction] {
        guard let source = message.source, source.mask != nil, let target = message[0], let text = message[1] else {
            return []
        }
        if isOwn(source.nick) { return [.echo(target: fold(target))] }
        guard phase == .open else { return [] }
        let channel = channels[fold(target)]
        // A message to a part of a channel, such as `@#ops`, is not answered, because the answer would be for all.
        guard channel?.isInside == true || channel == nil && isOwn(target) else { return [] }
        if let id = message.tags["msgid"], !isNew(id) { return [] }
        if let request = IRCText.request(text) { return answer(request, to: source) }
        let plain = IRCText.withoutFormatting(text)
        let (words, isAddressed) = IRCText.addressed(plain, to: [nick, settings.nick], fold)
        let sender = person(source, message.tags["account"])
        messages += 1
        let room = channel.map { Room(id: fold($0.name), name: fold($0.name), isPrivate: $0.isPrivate) }
        return [
            .deliver(
                ChatMessage(
                    id: IRCIdentity.message(messages, from: sender.id), sender: sender, room: room, text: words,
                    isAddressed: isAddressed))
        ]
    }

    private mutating func isNew(_ id: String) -> Bool {
        guard seen[id] == nil else { return false }
        seen[id] = true
        return true
    }

    /// Returns the sender of a message. The ID is the account only if the server vouches for it with this message, or
    /// reports all changes of it.
    private mutating func person(_ source: IRCMessage.Source, _ tag: String?) -> Person {
        let hasTags = registration.enabled.contains("account-tag")
        let known = hasTags ? tag : knowsAccounts ? people.occupant(source.nick)?.account : nil
        if let account = known.flatMap(account) {
            people.spoke(source.nick, account: account)
            return Person(id: account, name: "@\(account)")
        }
        let id = people.visit(of: source.nick, mask: source.mask)
        return Person(id: id, name: "@\(fold(source.nick))", isStable: false)
    }

    /// Answers a request of a client: with a notice, because notices are never answered.
    private mutating func answer(_ request: IRCText.Request, to source: IRCMessage.Source) -> [IRCAction] {
        let text: String
        switch request.name {
        case "VERSION": text = IRCText.response("VERSION", "Petrel \(version)")
        case "PING": text = IRCText.response("PING", request.argument)
        default: return []
        }
        guard requests.take("", at: now) == nil else { return [] }
        let reply = IRCMessage("NOTICE", source.nick, text)
        // An argument that does not fit is not worth an answer.
        return (try? reply.encoded()) == nil ? [] : [.send(reply)]
    }

    /// Reads a notice. Only the service that the bot waits for is read; nothing is answered.
    mutating func notice(_ message: IRCMessage) -> [IRCAction] {
        guard let source = message.source, let text = message[1] else { return [] }
        if isOwn(source.nick), let target = message[0] { return [.echo(target: fold(target))] }
        guard let service = settings.nickServ else { return [] }
        let name = String(service.nick.unicodeScalars.prefix { $0 != "@" })
        guard fold(source.nick) == fold(name) else { return [] }
        return serviceAnswered(IRCText.withoutFormatting(text))
    }
}

extension IRCSession {
    /// The recipient of a reply.
    enum Recipient: Equatable, Sendable {
        /// A channel or a nick.
        case target(String)
        /// The nick of an account, if the server confirms that it uses the account now.
        case account(String, nick: String)
    }

    /// Returns the recipient of a reply. Throws ``SendFailure``.
    func recipient(of reply: Reply, at address: Address) throws(SendFailure) -> Recipient {
        guard phase == .open else { throw SendFailure("not connected", .later(after: nil)) }
        guard case .room(let room) = address.place else { return try person(address.place.id) }
        if reply.isPrivate || reply.isConfidential {
            guard let sender = address.inReplyTo.flatMap(IRCIdentity.sender) else {
                throw SendFailure("the recipient of the private message is unknown", .never)
            }
            return try person(sender)
        }
        guard let channel = channels[fold(room)] else {
            throw SendFailure("the channel \(room) is not in the configuration", .never)
        }
        guard channel.isInside else {
            let reason = channel.trouble.map { ": \($0)" } ?? ""
            throw SendFailure("the bot is currently not in \(room)\(reason)", .later(after: nil))
        }
        return .target(channel.name)
    }

    private func person(_ id: String) throws(SendFailure) -> Recipient {
        if id.utf8.first == UInt8(ascii: "@") { return .target(String(id.unicodeScalars.dropFirst())) }
        if IRCIdentity.isVisit(id) {
            guard let nick = people.nick(during: id) else {
                throw SendFailure(
                    "the message was not sent, because the person has left, and the nick may belong to another person now",
                    .never)
            }
            return .target(nick)
        }
        guard IRCIdentity.isAccount(id) else { throw SendFailure("\(id) is not a person on IRC", .never) }
        if knowsAccounts, let nick = people.nick(of: id) { return .target(nick) }
        return .account(id, nick: people.lastNick(of: id) ?? id)
    }

    /// The number of bytes for a text in a message to this target.
    func room(for target: String) -> Int {
        // The longest user and host that servers use, because the server may change both at any time.
        IRCSplitter.room(for: target, from: nick, mask: max(mask?.utf8.count ?? 0, 12 + 1 + 63))
    }

    /// The channels that the bot has not joined.
    var troubles: [String] {
        channels.values.filter { !$0.isInside }.map { channel in
            "not in \(channel.name)" + (channel.trouble.map { ": \($0)" } ?? "")
        }.sorted()
    }
}
