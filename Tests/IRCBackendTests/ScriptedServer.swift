import FaultSuite
import Foundation
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import IRCBackend

/// A server that plays a script for each connection, for behavior that real servers do not show on demand.
struct ScriptedServer: Sendable {
    typealias Script = @Sendable (inout Conversation) async throws -> Void

    /// The server side of one connection.
    struct Conversation: ~Copyable {
        private var chunks: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
        private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
        private var reader = IRCLineReader()
        private var rest: ArraySlice<IRCMessage> = []

        init(_ chunks: NIOAsyncChannelInboundStream<ByteBuffer>, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>)
        {
            self.chunks = chunks.makeAsyncIterator()
            self.outbound = outbound
        }

        func say(_ lines: String...) async throws {
            try await outbound.write(ByteBuffer(string: lines.map { $0 + "\r\n" }.joined()))
        }

        /// Returns the next message; nil if the bot has closed the connection.
        mutating func next() async throws -> IRCMessage? {
            while rest.isEmpty {
                guard let chunk = try await chunks.next(isolation: #isolation) else { return nil }
                rest = reader.feed(chunk.readableBytesView)[...]
            }
            return rest.removeFirst()
        }

        /// Skips messages up to the next one with this command, and with this text in a parameter.
        @discardableResult
        mutating func hear(_ command: String, _ text: String = "") async throws -> IRCMessage {
            var skipped: [IRCMessage] = []
            while let message = try await next() {
                if message.command == command, text.isEmpty || message.parameters.contains(where: { $0.contains(text) })
                {
                    return message
                }
                skipped.append(message)
            }
            throw Refusal("the bot closed the connection before \(command) \(text), after \(skipped)")
        }

        /// Answers the next ping, which confirms what was sent before it.
        mutating func confirm() async throws {
            let ping = try await hear("PING")
            try await say(":irc.localhost PONG irc.localhost :\(ping[0] ?? "")")
        }

        /// Accepts the login, and lets the bot into the channel that it joins first.
        mutating func login(_ capabilities: String = "", nick: String = "petrel") async throws {
            try await hear("USER")
            try await say(":irc.localhost CAP * LS :\(capabilities)")
            if !capabilities.isEmpty {
                try await hear("CAP", capabilities.words[0])
                try await say(":irc.localhost CAP * ACK :\(capabilities)")
            }
            try await hear("CAP", "END")
            try await welcome(nick)
            try await enter()
        }

        func welcome(_ nick: String = "petrel") async throws {
            try await say(
                ":irc.localhost 001 \(nick) :Welcome", ":irc.localhost 005 \(nick) CASEMAPPING=ascii :are supported",
                ":irc.localhost 376 \(nick) :End")
        }

        mutating func enter(nick: String = "petrel") async throws {
            try await hear("JOIN", "#ops")
            try await say(
                ":\(nick)!p@host JOIN #ops", ":irc.localhost 353 \(nick) = #ops :\(nick) @alice",
                ":irc.localhost 366 \(nick) #ops :End")
            try await hear("MODE", "#ops")
            try await say(":irc.localhost 324 \(nick) #ops +n")
        }
    }

    let port: Int
    let certificate: SelfSigned

    func backend(_ change: (inout IRCSettings) -> Void = { _ in }) -> IRCBackend {
        var settings = IRCSettings(server: "localhost", nick: "petrel")
        settings.port = port
        settings.authority = certificate.certificate
        settings.channels = [IRCSettings.Channel(name: "#ops")]
        settings.rejoining = .milliseconds(100)
        change(&settings)
        return makeBackend(settings)
    }

    /// Runs a server and the body. Each script serves one connection, in order, which is closed at its end.
    static func run(
        isEncrypted: Bool = true, asksForCertificate: Bool = false, _ scripts: [Script],
        _ body: @Sendable @escaping (ScriptedServer) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            let certificate = try await SelfSigned(in: folder)
            let context = isEncrypted ? try serverContext(certificate, asksForCertificate) : nil
            let listening = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .bind(host: "127.0.0.1", port: 0) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        if let context {
                            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                        }
                        return try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                    }
                }
            let server = ScriptedServer(
                port: try #require(listening.channel.localAddress?.port), certificate: certificate)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await listening.executeThenClose { connections in
                        var next = connections.makeAsyncIterator()
                        for script in scripts {
                            guard let connection = try await next.next() else {
                                throw Refusal("the bot opened fewer connections than there are scripts")
                            }
                            try await connection.executeThenClose { inbound, outbound in
                                var conversation = Conversation(inbound, outbound)
                                try await script(&conversation)
                            }
                        }
                        // Closes further connections.
                        while let connection = try await next.next() {
                            try await connection.executeThenClose { _, _ in }
                        }
                    }
                }
                group.addTask {
                    try await body(server)
                    // Ends the loop over the connections.
                    listening.channel.close(promise: nil)
                }
                try await group.waitForAll()
            }
        }
    }

    /// Runs a bot against these scripts until the last one has ended.
    static func serve(
        _ scripts: [Script], logger: Logger? = nil, change: @Sendable @escaping (inout IRCSettings) -> Void = { _ in }
    ) async throws {
        let isOver = Signal()
        let final = scripts[scripts.count - 1]
        let last: Script = { conversation in
            defer { isOver.open() }
            try await final(&conversation)
        }
        try await run(scripts.dropLast() + [last]) { server in
            try await TestHost.unhurried(server.backend(change), logger: logger).run([Say()]) { await isOver.wait() }
        }
    }

    private static func serverContext(_ certificate: SelfSigned, _ asksForCertificate: Bool) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(certificate.certificate).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: certificate.key, format: .pem)))
        if asksForCertificate {
            configuration.certificateVerification = .noHostnameVerification
            configuration.trustRoots = .file(certificate.certificate)
        }
        return try NIOSSLContext(configuration: configuration)
    }
}

func makeBackend(_ settings: IRCSettings, logger: Logger? = nil) -> IRCBackend {
    IRCBackend(
        name: "irc", settings: settings,
        context: BackendContext(
            logger: logger ?? Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, loop: EventLoopExecutor(),
            version: "1.2.3"))
}

/// A module that echoes its arguments.
struct Say: BotModule {
    let name = "say"

    var commands: [Command] {
        [
            Command("say", usage: "TEXT", summary: "Echo a text.") { Reply($0.arguments) },
            Command("lines", usage: "TEXT", summary: "Reply with several lines.") {
                Reply("first \($0.arguments)\r\nQUIT :injected\n\n```\nlast\n```")
            },
            Command("long", summary: "Reply with a long text.") { _ in
                Reply(String(repeating: "e\u{301}", count: 500))
            },
            Command("whisper", usage: "TEXT", summary: "Reply in private.") { Reply($0.arguments, isPrivate: true) },
            Command("who", summary: "Show the sender.") { call in
                Reply("\(call.message.sender.id) \(call.message.sender.isStable) \(call.message.room?.id ?? "-")")
            },
        ]
    }
}
