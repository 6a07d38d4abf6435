import Foundation
package import Logging
import NIOCore
package import PetrelKit
package import PetrelSupport
import XMLStream

/// A backend for XMPP (RFC 6120, RFC 6121) with rooms (XEP-0045) and direct chats.
package final class XMPPBackend: ChatBackend {
    /// The name of this instance, which is its section in the configuration.
    package let name: String

    let settings: XMPPSettings
    private let version: String
    private let logger: Logger
    let link = XMPPLink()
    let rooms: XMPPRooms
    private let upload: XMPPUpload
    /// The server to which the bot was redirected, for the next connection.
    private let otherServer = Locked<ServerAddress?>(nil)
    private let isMeant = Locked<@Sendable (inout ChatMessage) -> Bool> { _ in true }
    private let storage = Locked<(any Storage)?>(nil)
    private let loop: EventLoopExecutor
    let lastReceived = Locked(ContinuousClock.now)

    /// Creates a backend.
    /// - Parameters:
    ///   - name: the name of the section in the configuration.
    ///   - version: Petrel's version, for responses to version queries (XEP-0092).
    ///   - loop: the event loop for all connections.
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

    /// Markdown, Slack's markup, threads, private replies and, once an upload service is discovered, files; at most
    /// 8,000 characters per message.
    package var traits: BackendTraits {
        BackendTraits(
            markdown: true, mrkdwn: true, threads: true, privateReplies: true, files: upload.service != nil,
            maximumLength: 8_000)
    }

    /// Connects, logs in and delivers messages until the connection ends or the task is cancelled. Throws
    /// ``BackendFailure``, which is final if the server rejects the login or offers no supported SASL mechanism.
    package func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {
        do {
            try await connect(deliver)
        } catch {
            if Task.isCancelled || (error as? BackendFailure)?.isFinal == true { link.abandon() }
            throw error
        }
    }

    private func connect(_ deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {
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
            lastReceived.withLock { $0 = .now }
            // An unstructured task, so that cancellation does not prevent writing the closing tag.
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
            await closeStream(writing)
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
                throw BackendFailure("the connection was lost")
            }
            group.addTask { try await self.monitorConnection() }
            group.addTask { try await self.keepAlive() }
            group.addTask { try await self.verifyRooms() }
            group.addTask(executorPreference: loop) { try await self.read(inbound, inbox) }
            try await group.next()
        }
    }

    /// The time limit for writing the remaining texts.
    private static let closeTimeout = Duration.seconds(1)

    /// Writes the remaining texts. On shutdown it also closes the stream (RFC 6120, section 4.4), so that the server
    /// releases the session and the nick. A lost stream is not closed, because it can be resumed.
    private func closeStream(_ writing: Task<Void, any Error>) async {
        link.end(saying: Task.isCancelled ? acknowledgement + StreamHeader.end : "")
        // A new task, because this one may be cancelled.
        await Task {
            let timer = Task {
                try await Task.sleep(for: Self.closeTimeout)
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

    /// Pings the server when it has been silent for too long (XEP-0199). Throws ``BackendFailure`` if it does not
    /// respond.
    private func monitorConnection() async throws {
        while true {
            let pause = settings.silence - lastReceived.value.duration(to: .now)
            if pause > .zero {
                try await Task.sleep(for: pause)
                continue
            }
            guard link.isOpen else {
                // The negotiation is not complete, so a ping cannot be sent.
                throw BackendFailure("the server does not respond")
            }
            do {
                _ = try await link.ask(nil, "get", XMLElement("ping", XMPPNames.ping), within: settings.patience)
            } catch is StanzaError {
                // An error is a response as well: the server does not support pings.
            } catch is XMPPLink.Unanswered {
                throw BackendFailure("the server does not respond to a ping")
            }
        }
    }

    /// Writes a space when the connection is idle: NAT gateways and firewalls drop idle connections.
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
        var reader = StanzaReader(inbound) { [lastReceived] in lastReceived.withLock { $0 = .now } }
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
            // Before messages can be sent: the bot is not in its rooms any more.
            if !outcome.isResumed { rooms.leaveAll() }
            link.open(outcome)
            logger.info("Logged in as \(outcome.jid)\(outcome.isResumed ? "; the stream was resumed" : "").")
            if !outcome.isResumed { try link.post(XMLElement("presence")) }
            rooms.joinAll()
            let discovery = outcome.isResumed ? nil : Task { await self.discoverUpload() }
            defer { discovery?.cancel() }
            try await serve(&reader, inbox)
        } catch let failure as StanzaParser.Failure {
            // Reports the error to the server (RFC 6120, section 4.9).
            try link.write(
                "<stream:error><\(failure.condition) xmlns='\(XMPPNames.streamErrors)'/></stream:error>"
                    + StreamHeader.end)
            throw BackendFailure("cannot parse data from the server: \(failure.reason)")
        } catch let failure as StreamFailure {
            throw ended(failure)
        }
    }

    private func discoverUpload() async {
        do {
            try await upload.discover(at: settings.jid.domain)
            guard let service = upload.service else { return }
            logger.info("Long texts are uploaded as files to \(service.jid).")
        } catch is CancellationError {
            // The connection was lost; discovery runs again on the next one.
        } catch {
            logger.info("Cannot discover file upload; long texts are sent in several messages: \(error).")
        }
    }

    /// Converts a stream error to a failure, with a hint where there is one. Records the target of a redirection.
    private func ended(_ failure: StreamFailure) -> BackendFailure {
        switch failure.condition {
        case "conflict":
            return BackendFailure(
                "\(failure); another client uses the same resource: remove the resource from jid, or change it")
        case "see-other-host":
            guard let other = failure.otherHost.flatMap({ ServerAddress($0, isDirect: settings.security == .direct) })
            else { break }
            otherServer.withLock { $0 = other }
            return BackendFailure("the server redirects the bot to \(other.host)")
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

    /// The acknowledgement of all received stanzas (XEP-0198); empty if stream management is not enabled.
    private var acknowledgement: String {
        let (isOn, count) = link.management.withLock { ($0.isOn, $0.received) }
        return isOn ? XMLElement("a", XMPPNames.management, ["h": "\(count)"]).xml(in: XMPPNames.client) : ""
    }

    /// Processes an element of stream management (XEP-0198).
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

    /// Returns the reply with the text from `extra.xmpp`, if there is one.
    package func shaped(_ reply: Reply) -> Reply { XMPPContent.shaped(reply) }

    /// Sends a reply in one or more messages. Returns the ID of the last one. Throws ``SendFailure``.
    package func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        let (target, isRoom) = try target(of: reply, at: address)
        let messages = XMPPContent.messages(
            reply, to: target, isRoom: isRoom, thread: address.thread, xhtml: settings.usesXHTML,
            mostBytes: link.mostBytes)
        for message in messages { try await send(message, to: target, isRoom: isRoom) }
        return messages.last?["id"].map { MessageReference(id: $0) }
    }
}

extension XMPPBackend: FileSending {
    /// Uploads the text of a reply as a file (XEP-0363) and sends its URL. Returns the ID of the message. Throws
    /// ``SendFailure``, also for private and confidential replies.
    package func send(file name: String, _ reply: Reply, to address: Address) async throws -> MessageReference? {
        // The URL grants access to everyone who knows it.
        guard !reply.isConfidential, !reply.isPrivate else {
            throw SendFailure("private and confidential replies are not uploaded as files", .never)
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
    /// Sets the function that returns true for messages to the bot.
    package func select(_ isMeant: @escaping @Sendable (inout ChatMessage) -> Bool) {
        self.isMeant.withLock { $0 = isMeant }
    }
}

extension XMPPBackend: StatusReporting {
    /// Returns one line for each room with a problem.
    package func status() -> [StatusLine] {
        rooms.troubles.map { StatusLine("backend \(name)", isHealthy: false, $0) }
    }
}

extension XMPPBackend: RecordKeeping {
    /// Sets the storage for the IDs of processed messages.
    package func keep(in storage: any Storage) { self.storage.withLock { $0 = storage } }
}

extension XMPPBackend: PlaceNaming {
    /// Claims JIDs with a local part (RFC 7622): as a room if the configuration lists it, otherwise as a direct chat.
    package func claim(_ name: String) -> PlaceClaim {
        guard let jid = JID(name), jid.local != nil else { return .foreign }
        let isRoom = jid.resource == nil && settings.rooms.contains { $0.jid == jid }
        return .own(isRoom ? .room(jid.description) : .direct(jid.description))
    }
}
