import Logging
import NIOCore
package import PetrelKit
import PetrelSupport

/// A backend for IRC (RFC 1459, RFC 2812, IRCv3) with channels and private messages.
package final class IRCBackend: ChatBackend {
    /// The name of this instance, which is its section in the configuration.
    package let name: String
    /// Private replies, and at most 1,600 characters per reply, which are sent as several messages.
    package let traits = BackendTraits(privateReplies: true, maximumLength: 1_600, maximumLines: 10)

    private let settings: IRCSettings
    private let logger: Logger
    private let loop: EventLoopExecutor
    let link: IRCLink

    /// Creates a backend.
    /// - Parameters:
    ///   - name: the name of the section in the configuration.
    ///   - context: the resources of the host.
    package init(name: String, settings: IRCSettings, context: BackendContext) {
        self.name = name
        self.settings = settings
        logger = context.logger
        loop = context.loop
        link = IRCLink(settings, version: context.version)
    }

    /// Connects, logs in, joins the channels and delivers messages until the connection ends or the task is cancelled.
    /// Throws ``BackendFailure``, which is final if the server rejects the login or has banned the bot.
    package func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {
        let channel = try await IRCConnector(loop: loop.eventLoop, settings: settings).open()
        try await channel.executeThenClose { inbound, outbound in
            let (lines, actions) = link.connect()
            // An unstructured task, so that cancellation does not prevent writing the last message.
            let isOver = Signal()
            let writing = Task {
                defer { isOver.open() }
                for await line in lines { try await outbound.write(ByteBuffer(bytes: line)) }
            }
            let connection = IRCConnection(
                link: link, loop: loop, logger: logger, silence: settings.silence, deliver: deliver)
            let result: Result<Void, any Error>
            do {
                try await connection.perform(actions)
                result = .success(try await connection.converse(inbound, isOver))
            } catch {
                result = .failure(error)
            }
            await close(writing)
            try result.get()
        }
    }

    /// The time limit for writing the remaining lines.
    private static let closeTimeout = Duration.milliseconds(500)

    /// Writes the remaining lines, at a shutdown with QUIT, so that the others see at once that the bot has left.
    private func close(_ writing: Task<Void, any Error>) async {
        link.end(saying: Task.isCancelled ? IRCMessage("QUIT", "Petrel is stopping") : nil)
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

    /// Returns the reply without the marks of fenced blocks, which IRC clients show as they are.
    package func shaped(_ reply: Reply) -> Reply {
        guard TextBlock.holdsFence(reply.text) else { return reply }
        var reply = reply
        reply.text = TextBlock.blocks(of: reply.text).flatMap { block in
            switch block {
            case .lines(let lines): lines
            case .code(_, let lines): lines
            }
        }.joined(separator: "\n")
        return reply
    }

    /// Sends a reply as one or more messages, and waits until the server has processed them. Throws ``SendFailure``.
    package func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        let session = link.session
        let (target, isSteady) = try await target(of: reply, at: address, session)
        let lines = IRCSplitter.lines(of: reply.text, atMost: session.room(for: target))
        guard !lines.isEmpty else { return nil }
        let messages = lines.map { IRCMessage("PRIVMSG", target, $0) }
        let exchange: IRCExchange
        do {
            exchange = try await link.exchange(messages, with: target)
        } catch let error as IRCMessage.Unsendable {
            throw SendFailure("\(error)", .never)
        }
        let isEchoed = session.registration.enabled.contains("echo-message")
        if let failure = exchange.failure(lines: lines.count, isEchoed: isEchoed, isSteady: isSteady) { throw failure }
        return nil
    }

    private func target(
        of reply: Reply, at address: Address, _ session: IRCSession
    ) async throws -> (target: String, isSteady: Bool) {
        switch try session.recipient(of: reply, at: address) {
        case .target(let target): return (target, session.isChannel(target))
        case .account(let account, let nick):
            // The nick may belong to another person now.
            let found = try await link.exchange([IRCMessage("WHOIS", nick)], with: nick)
            guard found.account == account else {
                throw SendFailure("no client with the nick \(nick) is logged in as \(account)", .later(after: nil))
            }
            return (nick, true)
        }
    }
}

extension IRCBackend: PlaceNaming {
    /// Claims channels, nicks as `@nick`, accounts and visits. Channels of the configuration are certain.
    package func claim(_ name: String) -> PlaceClaim {
        let session = link.session
        if session.channels[session.fold(name)] != nil { return .own(.room(session.fold(name))) }
        if IRCSettings.isChannel(name) { return .possible(.room(session.fold(name))) }
        if IRCIdentity.isVisit(name) { return .own(.direct(name)) }
        let nick = name.utf8.first == UInt8(ascii: "@") ? String(name.unicodeScalars.dropFirst()) : name
        guard IRCIdentity.isAccount(nick), !nick.unicodeScalars.contains(where: { $0 == "@" || $0 == "." }) else {
            return .foreign
        }
        return .possible(.direct(session.fold(name)))
    }
}

extension IRCBackend: StatusReporting {
    /// Returns one line for each channel that the bot has not joined.
    package func status() -> [StatusLine] {
        link.session.troubles.map { StatusLine("backend \(name)", isHealthy: false, $0) }
    }
}
