import Foundation
public import Logging
import NIOCore
public import PetrelKit
import PetrelLoop

/// Chat over XMPP (RFC 6120, RFC 6121), in rooms (XEP-0045) and one to one.
public final class XMPPBackend: ChatBackend {
    public let name: String
    /// A stanza of ours stays below what servers take: 64 KiB with ejabberd's settings.
    public let traits = BackendTraits(markdown: true, threads: true, privateReplies: true, maximumLength: 8_000)

    private let settings: XMPPSettings
    private let version: String
    private let logger: Logger
    private let link = XMPPLink()
    private let rooms: XMPPRooms
    private let storage = Locked<(any Storage)?>(nil)
    private let heard = Locked(ContinuousClock.now)

    /// - Parameter version: Petrel's, for who asks.
    public init(name: String, settings: XMPPSettings, version: String, logger: Logger) {
        self.name = name
        self.settings = settings
        self.version = version
        self.logger = logger
        rooms = XMPPRooms(settings, link, logger)
    }

    public func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {
        let connector = XMPPConnector(
            loop: ChatLoop.shared.eventLoop, domain: settings.jid.domain, tls: settings.tls)
        let channel = try await connector.open(try await settings.addresses())
        let inbox = XMPPInbox(
            settings, link, rooms, await SeenMessages(storage.value, logger), version: version, logger, deliver)
        defer { link.disconnect() }
        try await channel.executeThenClose { inbound, outbound in
            let texts = link.connect()
            try await withThrowingTaskGroup(of: Void.self) { group in
                defer { group.cancelAll() }
                group.addTask { try await self.write(texts, to: outbound) }
                group.addTask { try await self.watch() }
                group.addTask(executorPreference: ChatLoop.shared) { try await self.read(inbound, inbox) }
                try await group.next()
            }
        }
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
            } catch XMPPLink.QuestionFailure.refused {
                // It does not know pings, and is there.
            } catch XMPPLink.QuestionFailure.unanswered {
                throw BackendFailure("The server does not answer any more.")
            }
        }
    }

    private func read(_ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, _ inbox: XMPPInbox) async throws {
        heard.withLock { $0 = .now }
        var reader = StanzaReader(inbound) { [heard] in heard.withLock { $0 = .now } }
        let link = link
        let negotiation = Negotiation(
            jid: settings.jid, password: settings.password, allowsPlain: settings.allowsPlain
        ) { text in try link.write(text) }
        do {
            let outcome = try await negotiation.run(&reader, link.management, bound: link.jid)
            link.open(as: outcome.jid)
            logger.info("Logged in as \(outcome.jid)\(outcome.isResumed ? ", where it was before" : "").")
            if !outcome.isResumed {
                await rooms.leaveAll()
                try link.post(XMLElement("presence"))
                await rooms.joinAll()
            }
            try await serve(&reader, inbox)
        } catch let failure as StanzaParser.Failure {
            // The other side is told why (RFC 6120, section 4.9).
            try? link.write(
                "<stream:error><\(failure.condition) xmlns='\(XMPPNames.streamErrors)'/></stream:error>"
                    + StreamHeader.end)
            throw BackendFailure("What the server sends cannot be read: \(failure.reason)")
        } catch let failure as StreamFailure {
            let hint =
                failure.condition == "conflict"
                ? ". Another program uses the same resource: leave it out of jid, or choose another." : ""
            throw BackendFailure("\(failure)\(hint)")
        }
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

    /// XEP-0198
    private func manage(_ stanza: XMLElement) throws {
        switch stanza.name {
        case "r":
            let count = link.management.withLock { $0.received }
            try link.write(XMLElement("a", XMPPNames.management, ["h": "\(count)"]).xml(in: XMPPNames.client))
        case "a":
            guard let count = stanza["h"].flatMap({ UInt32($0) }) else { return }
            link.management.withLock { $0.acknowledge(count) }
        default: break
        }
    }

    public func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        let (target, isRoom) = try await target(of: reply, at: address)
        let id = UUID().uuidString
        var message = XMPPContent.message(
            reply, to: target, isRoom: isRoom, thread: address.thread, id: id, xhtml: settings.usesXHTML)
        // Through a room to one of its occupants (XEP-0045, section 7.5).
        if !isRoom, target.resource != nil, await rooms.isRoom(target) {
            message.append(XMLElement("x", XMPPNames.mucUser))
        }
        try await link.send(message)
        return MessageReference(id: id)
    }

    private func target(of reply: Reply, at address: Address) async throws -> (JID, isRoom: Bool) {
        guard let jid = JID(address.place.id) else {
            throw SendFailure("\(address.place.id) is no address of XMPP", .never)
        }
        guard case .room = address.place else { return (jid, false) }
        if reply.isPrivate || reply.isConfidential {
            guard let person = address.inReplyTo.flatMap({ XMPPMessageID($0) })?.sender else {
                throw SendFailure("it is for one person, and nobody knows for whom", .never)
            }
            return (person, false)
        }
        switch await rooms.room(jid)?.standing {
        case nil: throw SendFailure("\(jid) is not among the rooms of the configuration", .never)
        case .barred(let reason)?: throw SendFailure("the room \(jid) \(reason)", .never)
        case .inside?: return (jid, true)
        case .outside?, .joining?: throw SendFailure("the bot is not in \(jid) at the moment", .later(after: nil))
        }
    }
}

extension XMPPBackend: RecordKeeping {
    public func keep(in storage: any Storage) { self.storage.withLock { $0 = storage } }
}

extension XMPPBackend: PlaceNaming {
    /// A room of the configuration, else a person.
    public func place(named name: String) -> Address.Place? {
        guard let jid = JID(name) else { return nil }
        let isRoom = jid.resource == nil && settings.rooms.contains { $0.jid == jid }
        return isRoom ? .room(jid.description) : .direct(jid.description)
    }
}
