import FaultSuite
import Foundation
import NIOCore
import NIOPosix
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import IRCBackend

/// ngIRCd from Debian on loopback, which can be stopped and restarted.
final class IRCServer: Sendable {
    let folder: URL
    let certificate: SelfSigned
    let port: Int
    let tlsPort: Int
    private let password: String?
    private let program = Locked<Program?>(nil)

    private init(_ folder: URL, _ password: String?) async throws {
        self.folder = folder
        self.password = password
        certificate = try await SelfSigned(in: folder)
        port = try freePort()
        tlsPort = try freePort()
    }

    static func run(
        password: String? = nil, _ body: @Sendable (IRCServer) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            let server = try await IRCServer(folder, password)
            try await server.start()
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(server))
            } catch {
                result = .failure(error)
            }
            await server.stop()
            try result.get()
        }
    }

    func start() async throws {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Scripts/ngircd-for-tests")
        let started = try Program(
            [folder.path, "\(port)", "\(tlsPort)"] + (password.map { [$0] } ?? []), of: script.path)
        guard await started.line(with: " ready.") != nil else {
            throw Refusal(
                "ngircd did not start: \(await started.error(with: "") ?? ""); Scripts/setup test installs it")
        }
        program.withLock { $0 = started }
    }

    /// Kills the server.
    func stop() async {
        guard let program = program.value else { return }
        program.signal(SIGKILL)
        _ = await program.exit()
        self.program.withLock { $0 = nil }
    }

    /// Returns settings for connecting to this server with TLS, without a flood limit.
    func settings(channels: [String] = ["#ops"]) -> IRCSettings {
        var settings = IRCSettings(server: "localhost", nick: "petrel")
        settings.port = tlsPort
        settings.authority = certificate.certificate
        settings.channels = channels.map { IRCSettings.Channel(name: $0) }
        settings.floodLines = 10_000
        settings.floodPeriod = .seconds(1)
        settings.rejoining = .milliseconds(100)
        settings.regaining = .milliseconds(100)
        return settings
    }

    /// Connects a person, and waits until the person is in the channel.
    func person(_ nick: String, in channel: String? = "#ops") async throws -> IRCPerson {
        try await IRCPerson.connect(nick, port: port, channel: channel)
    }
}

/// A person's client, over an unencrypted connection.
///
/// It keeps all messages until a caller waits for them.
final class IRCPerson: Sendable {
    private let channel: any Channel
    private let messages: Messages
    let nick: String

    private init(_ channel: any Channel, _ messages: Messages, nick: String) {
        self.channel = channel
        self.messages = messages
        self.nick = nick
    }

    /// - Parameter tap: a closure that gets every message first, and returns true if no caller waits for it.
    static func connect(
        _ nick: String, port: Int, channel name: String?, password: String? = nil,
        tap: @escaping @Sendable (IRCMessage) -> Bool = { _ in false }
    ) async throws -> IRCPerson {
        let messages = Messages()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Receiver(messages, tap))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        let person = IRCPerson(channel, messages, nick: nick)
        if let password { try await person.send("PASS \(password)") }
        try await person.send("NICK \(nick)", "USER \(nick) 0 * :\(nick)")
        _ = try await person.told("001")
        if let name { try await person.join(name) }
        return person
    }

    func join(_ name: String, key: String = "") async throws {
        try await send(key.isEmpty ? "JOIN \(name)" : "JOIN \(name) \(key)")
        _ = try await names(of: name)
    }

    /// Returns the names in the server's next list, so that no list stays for a later request.
    private func names(of name: String) async throws -> [String] {
        let names = try await told("353") { $0[2] == name }
        _ = try await told("366") { $0[1] == name }
        return (names.parameters.last ?? "").words.map { word in
            String(word.unicodeScalars.drop { "~&@%+".unicodeScalars.contains($0) })
        }
    }

    func send(_ lines: String...) async throws {
        try await channel.writeAndFlush(ByteBuffer(string: lines.map { $0 + "\r\n" }.joined()))
    }

    func say(_ text: String, to target: String = "#ops") async throws { try await send("PRIVMSG \(target) :\(text)") }

    /// Returns the next message with this command that fits; removes it from the messages that wait.
    func told(
        _ command: String, fits: @escaping @Sendable (IRCMessage) -> Bool = { _ in true }
    ) async throws -> IRCMessage {
        try await messages.next { $0.command == command && fits($0) }
    }

    /// Returns the next message of the bot that contains a text.
    func heard(_ text: String = "", from nick: String = "petrel") async throws -> IRCMessage {
        try await told("PRIVMSG") { message in
            message.source?.nick == nick && (text.isEmpty || message[1]?.contains(text) == true)
        }
    }

    /// Waits until a nick is in the channel, which the person has joined.
    func saw(_ nick: String, in name: String = "#ops") async throws {
        while true {
            try await send("NAMES \(name)")
            if try await names(of: name).contains(nick) { return }
            _ = try await told("JOIN") { $0.source?.nick == nick }
        }
    }

    /// Waits until the server has closed the connection. Returns the messages that no caller has waited for.
    func lost() async throws -> [IRCMessage] {
        try await channel.closeFuture.get()
        return messages.rest()
    }

    func quit() async throws {
        try await send("QUIT")
        try await channel.closeFuture.get()
    }

    /// The received messages.
    final class Messages: Sendable {
        private struct State {
            var waiting: [IRCMessage] = []
            var isClosed = false
            var changed = Signal()
        }

        private let state = Locked(State())
        /// The time after which a test fails with the messages that arrived instead.
        private static let patience = Duration.seconds(240)

        func add(_ new: [IRCMessage]) {
            state.withLock { state in
                state.waiting += new
                state.changed.open()
                state.changed = Signal()
            }
        }

        func close() {
            state.withLock { state in
                state.isClosed = true
                state.changed.open()
            }
        }

        func rest() -> [IRCMessage] {
            state.withLock { state in
                defer { state.waiting = [] }
                return state.waiting
            }
        }

        func next(_ fits: @Sendable (IRCMessage) -> Bool) async throws -> IRCMessage {
            let start = ContinuousClock.now
            while true {
                let (found, isClosed, changed) = state.withLock { state in
                    let index = state.waiting.firstIndex(where: fits)
                    return (index.map { state.waiting.remove(at: $0) }, state.isClosed, state.changed)
                }
                if let found { return found }
                guard !isClosed, start.duration(to: .now) < Self.patience else {
                    let last = state.withLock { $0.waiting.suffix(5) }
                    throw Refusal((isClosed ? "the connection was closed" : "the message did not arrive") + "; \(last)")
                }
                await Signal.wait(for: changed, atMost: Self.patience)
                try Task.checkCancellation()
            }
        }
    }

    /// Reads messages, and answers pings.
    private final class Receiver: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let messages: Messages
        private let tap: @Sendable (IRCMessage) -> Bool
        private var reader = IRCLineReader()

        init(_ messages: Messages, _ tap: @escaping @Sendable (IRCMessage) -> Bool) {
            self.messages = messages
            self.tap = tap
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let new = reader.feed(unwrapInboundIn(data).readableBytesView)
            for message in new where message.command == "PING" {
                let pong = ByteBuffer(string: "PONG :\(message[0] ?? "")\r\n")
                context.writeAndFlush(NIOAny(pong), promise: nil)
            }
            messages.add(new.filter { $0.command != "PING" && !tap($0) })
        }

        func channelInactive(context: ChannelHandlerContext) {
            messages.close()
            context.fireChannelInactive()
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
