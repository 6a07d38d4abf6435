import Foundation
package import Logging
import NIOCore
package import PetrelKit
package import PetrelSupport

/// Chat over XMPP (RFC 6120, RFC 6121), in rooms (XEP-0045) and one to one.
package final class XMPPBackend: ChatBackend {
    package let name: String

    private let settings: XMPPSettings
    private let version: String
    private let logger: Logger
    private let link = XMPPLink()
    private let rooms: XMPPRooms
    private let upload: XMPPUpload
    /// Where the server sends the bot to, for the next connection.
    private let otherServer = Locked<ServerAddress?>(nil)
    private let isMeant = Locked<@Sendable (ChatMessage) -> Bool> { _ in true }
    private let storage = Locked<(any Storage)?>(nil)
    private let loop: EventLoopExecutor
    private let heard = Locked(ContinuousClock.now)

    /// - Parameter version: Petrel's, for who asks.
    package init(
        name: String, settings: XMPPSettings, version: String, on loop: EventLoopExecutor = EventLoopExecutor(),
        logger: Logger
    ) {
        self.loop = loop
        self.name = name
        self.settings = settings
        self.version = version
        self.logger = logger
        rooms = XMPPRooms(settings, link, logger)
        upload = XMPPUpload(settings, link, on: loop)
    }

    package var traits: BackendTraits {
        BackendTraits(
            markdown: true, mrkdwn: true, threads: true, privateReplies: true, files: upload.service != nil,
            maximumLength: 8_000)
    }

    package func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {
        let connector = XMPPConnector(
            loop: loop.eventLoop, domain: settings.jid.domain, tls: settings.tls)
        let channel: XMPPChannel
        do {
            channel = try await connector.open(try await addresses())
        } catch let failure as StreamFailure {
            throw ended(failure)
        }
        let inbox = XMPPInbox(
            settings, link, rooms, await SeenMessages(storage.value, logger), version: version, logger,
            isMeant: isMeant.value, deliver)
        defer { link.disconnect() }
        try await channel.executeThenClose { inbound, outbound in
            let texts = link.connect()
            heard.withLock { $0 = .now }
            // Not cancelled with the others: it has the last word.
            let isOver = Signal()
            let writing = Task {
                defer { isOver.open() }
                try await self.write(texts, to: outbound)
            }
            let result: Result<Void, any Error>
            do {
                result = .success(try await converse(inbound, inbox, isOver))
            } catch {
                result = .failure(error)
            }
            await takeLeave(writing)
            try result.get()
        }
    }

    private func converse(
        _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, _ inbox: XMPPInbox, _ isOver: Signal
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask {
                await isOver.wait()
                try Task.checkCancellation()
                throw BackendFailure("The connection broke off.")
            }
            group.addTask { try await self.watch() }
            group.addTask { try await self.keepAlive() }
            group.addTask { try await self.verifyRooms() }
            group.addTask(executorPreference: loop) { try await self.read(inbound, inbox) }
            try await group.next()
        }
    }

    private static let farewell = Duration.seconds(1)

    /// Writes what is left. Who stops ends the stream (RFC 6120, section 4.4), so that the server does not keep the bot's
    /// place, and its nick; a stream that broke off can be taken up again, and is not ended.
    private func takeLeave(_ writing: Task<Void, any Error>) async {
        link.end(saying: Task.isCancelled ? acknowledgement + StreamHeader.end : "")
        // Whoever is cancelled can still wait for a task.
        await Task {
            let timer = Task {
                try await Task.sleep(for: Self.farewell)
                writing.cancel()
            }
            _ = await writing.result
            timer.cancel()
        }.value
    }

    private func addresses() async throws -> [ServerAddress] {
        let other = otherServer.withLock { other in
            defer { other = nil }
            return other
        }
        if let other { return [other] }
        return try await settings.addresses()
    }

    private func write(_ texts: AsyncStream<String>, to outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>)
        async throws
    {
        for await text in texts {
            try await outbound.write(ByteBuffer(string: text))
            link.written(text.utf8.count)
        }
    }

    /// Asks the server whether it is still there when it has been silent for long (XEP-0199).
    private func watch() async throws {
        while true {
            let pause = settings.silence - heard.value.duration(to: .now)
            if pause > .zero {
                try await Task.sleep(for: pause)
                continue
            }
            guard link.isOpen else {
                // It is not that far yet.
                throw BackendFailure("The server does not answer.")
            }
            do {
                _ = try await link.ask(nil, "get", XMLElement("ping", XMPPNames.ping), within: settings.patience)
            } catch is StanzaError {
                // It does not know pings, and is there.
            } catch is XMPPLink.Unanswered {
                throw BackendFailure("The server does not answer any more.")
            }
        }
    }

    /// A connection on which nothing is said for long is forgotten by what stands between.
    private func keepAlive() async throws {
        while true {
            let pause = settings.keepAlive - link.lastWrite.duration(to: .now)
            if pause <= .zero, link.isOpen { try link.write(" ") }
            try await Task.sleep(for: pause > .zero ? pause : settings.keepAlive)
        }
    }

    private func verifyRooms() async throws {
        while true {
            try await Task.sleep(for: settings.verifying)
            try await rooms.verify()
        }
    }

    private func read(_ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, _ inbox: XMPPInbox) async throws {
        var reader = StanzaReader(inbound) { [heard] in heard.withLock { $0 = .now } }
        let link = link
        let negotiation = Negotiation(
            jid: settings.jid, password: settings.password, allowsPlain: settings.allowsPlain
        ) { text in
            try link.write(text)
        } early: { stanza in
            await inbox.take(stanza)
        }
        do {
            let outcome = try await negotiation.run(&reader, link.management, bound: link.jid)
            link.open(outcome)
            logger.info("Logged in as \(outcome.jid)\(outcome.isResumed ? ", where it was before" : "").")
            if !outcome.isResumed {
                rooms.leaveAll()
                try link.post(XMLElement("presence"))
            }
            rooms.joinAll()
            let looking = outcome.isResumed ? nil : Task { await self.lookForFiles() }
            defer { looking?.cancel() }
            try await serve(&reader, inbox)
        } catch let failure as StanzaParser.Failure {
            // The other side is told why (RFC 6120, section 4.9).
            try link.write(
                "<stream:error><\(failure.condition) xmlns='\(XMPPNames.streamErrors)'/></stream:error>"
                    + StreamHeader.end)
            throw BackendFailure("What the server sends cannot be read: \(failure.reason)")
        } catch let failure as StreamFailure {
            throw ended(failure)
        }
    }

    private func lookForFiles() async {
        do {
            try await upload.discover(at: settings.jid.domain)
            guard let service = upload.service else { return }
            logger.info("Long texts go as files to \(service.jid).")
        } catch is CancellationError {
            // The connection is gone; the next one looks again.
        } catch {
            logger.info("Whether the server takes files is not known, and long texts come in pieces: \(error)")
        }
    }

    /// Why the stream ended, and what is done about it.
    private func ended(_ failure: StreamFailure) -> BackendFailure {
        switch failure.condition {
        case "conflict":
            return BackendFailure(
                "\(failure). Another program uses the same resource: leave it out of jid, or choose another.")
        case "see-other-host":
            guard let other = failure.otherHost.flatMap({ ServerAddress($0, isDirect: settings.security == .direct) })
            else { break }
            otherServer.withLock { $0 = other }
            return BackendFailure("The server sends the bot to \(other.host).")
        default: break
        }
        return BackendFailure("\(failure)")
    }

    private func serve(_ reader: inout StanzaReader, _ inbox: XMPPInbox) async throws {
        while true {
            let stanza = try await reader.stanza()
            guard stanza.namespace != XMPPNames.management else {
                try manage(stanza)
                continue
            }
            await inbox.take(stanza)
            link.management.withLock { $0.take() }
        }
    }

    /// What was taken so far; empty where nothing is counted.
    private var acknowledgement: String {
        let (isOn, count) = link.management.withLock { ($0.isOn, $0.received) }
        return isOn ? XMLElement("a", XMPPNames.management, ["h": "\(count)"]).xml(in: XMPPNames.client) : ""
    }

    /// XEP-0198
    private func manage(_ stanza: XMLElement) throws {
        switch stanza.name {
        case "r":
            try link.write(acknowledgement)
        case "a":
            guard let count = stanza["h"].flatMap({ UInt32($0) }) else { return }
            link.management.withLock { $0.acknowledge(count) }
        default: break
        }
    }

    package func shaped(_ reply: Reply) -> Reply { XMPPContent.shaped(reply) }

    package func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        let (target, isRoom) = try target(of: reply, at: address)
        let messages = XMPPContent.messages(
            reply, to: target, isRoom: isRoom, thread: address.thread, xhtml: settings.usesXHTML,
            mostBytes: link.mostBytes)
        for message in messages { try await send(message, to: target, isRoom: isRoom) }
        return messages.last?["id"].map { MessageReference(id: $0) }
    }

    /// Returns once it has arrived, as far as that can be known: a room shows what was said in it.
    private func send(_ message: XMLElement, to target: JID, isRoom: Bool) async throws {
        var message = message
        let id = message["id"] ?? ""
        // Through a room to one of its occupants (XEP-0045, section 7.5).
        if !isRoom, target.resource != nil, rooms.isRoom(target) { message.append(XMLElement("x", XMPPNames.mucUser)) }
        let word = link.confirmations.await(id, from: target)
        defer { link.confirmations.forget(id) }
        try await link.send(message)
        guard isRoom else {
            await link.follow(target, within: settings.patience)
            if let problem = word.value ?? nil { throw problem.failure(of: target, isRoom: false) }
            return
        }
        if let problem = try await shown(word, in: target) { throw problem.failure(of: target, isRoom: true) }
    }

    /// Nil once a room has shown a message; why it came back where it did. While the connection is silent or away, it is
    /// on its way: only another stream forgets it.
    private func shown(_ word: Confirmations.Word, in room: JID) async throws -> StanzaError? {
        let stream = link.stream
        while !Task.isCancelled {
            if let problem = await word.wait(atMost: settings.patience) { return problem }
            let isHeard = heard.value.duration(to: .now) < settings.patience
            if link.stream != stream || isHeard && link.isOpen(for: settings.patience) { break }
        }
        throw SendFailure("the room \(room) does not show what was said in it", .later(after: nil))
    }

    /// Nil where nobody has this nick.
    func visit(of nick: String, in room: JID) -> Int? { rooms.room(room)?.occupant(nick)?.visit }

    /// Returns the address of one person: an account, or the nick that an occupant has during a visit. Where the room
    /// hides accounts, the next one may have the same nick.
    private func person(_ jid: JID, during visit: Int?) throws -> JID {
        guard jid.resource != nil, let room = rooms.room(jid) else { return jid }
        guard let visit else {
            throw SendFailure(
                "it is for \(jid) alone, and nobody knows who has that nick by now: let the room show accounts", .never)
        }
        guard let nick = room.nick(during: visit) else {
            throw SendFailure("it is for \(jid), who has left the room", .never)
        }
        return jid.with(nick)
    }

    private func target(of reply: Reply, at address: Address) throws -> (JID, isRoom: Bool) {
        guard let jid = JID(address.place.id) else {
            throw SendFailure("\(address.place.id) is no address of XMPP", .never)
        }
        guard case .room = address.place else { return (try person(jid, during: XMPPOccupantID.visit(jid)), false) }
        if reply.isPrivate || reply.isConfidential {
            guard let message = address.inReplyTo.flatMap({ XMPPMessageID($0) }) else {
                throw SendFailure("it is for one person, and nobody knows for whom", .never)
            }
            return (try person(message.sender, during: message.visit), false)
        }
        switch rooms.room(jid)?.standing {
        case nil: throw SendFailure("\(jid) is not among the rooms of the configuration", .never)
        case .barred(let reason)?: throw SendFailure("the room \(jid) \(reason)", .never)
        case .inside?: return (jid, true)
        case .outside?, .joining?: throw SendFailure("the bot is not in \(jid) at the moment", .later(after: nil))
        }
    }
}

extension XMPPBackend: FileSending {
    package func send(file name: String, _ reply: Reply, to address: Address) async throws -> MessageReference? {
        // Whoever has the address of a file can read it.
        guard !reply.isConfidential, !reply.isPrivate else {
            throw SendFailure("it is for one person, and must not be kept in a file", .never)
        }
        let (target, isRoom) = try target(of: reply, at: address)
        let url = try await upload.send(Array(reply.text.utf8), named: name)
        let message = XMPPContent.message(
            linking: url, to: target, isRoom: isRoom, thread: address.thread, extra: reply.extra["xmpp"])
        try await send(message, to: target, isRoom: isRoom)
        return message["id"].map { MessageReference(id: $0) }
    }
}

extension XMPPBackend: Selecting {
    package func select(_ isMeant: @escaping @Sendable (ChatMessage) -> Bool) { self.isMeant.withLock { $0 = isMeant } }
}

extension XMPPBackend: StatusReporting {
    /// Only what people should know of.
    package func status() -> [StatusLine] {
        rooms.troubles.map { StatusLine("backend \(name)", isHealthy: false, $0) }
    }
}

extension XMPPBackend: RecordKeeping {
    package func keep(in storage: any Storage) { self.storage.withLock { $0 = storage } }
}

extension XMPPBackend: PlaceNaming {
    /// A room of the configuration, else a person, if it is an address with a local part (RFC 7622).
    package func claim(_ name: String) -> PlaceClaim {
        guard let jid = JID(name), jid.local != nil else { return .foreign }
        let isRoom = jid.resource == nil && settings.rooms.contains { $0.jid == jid }
        return .own(isRoom ? .room(jid.description) : .direct(jid.description))
    }
}
