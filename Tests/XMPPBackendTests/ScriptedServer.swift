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

@testable import XMPPBackend

/// A server that says what a test wants, one connection after the other: for what real servers do not do when asked.
struct ScriptedServer: Sendable {
    typealias Script = @Sendable (inout Conversation) async throws -> Void

    static let header =
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
        + "id='1' from='localhost' version='1.0'>"

    /// What a server says that manages streams (XEP-0198).
    static let manages = "<sm xmlns='\(XMPPNames.management)'/>"

    static let bound =
        "<iq type='result' id='bind'><bind xmlns='\(XMPPNames.bind)'><jid>petrel@localhost/r1</jid></bind></iq>"

    /// One connection, from the server's side.
    struct Conversation: ~Copyable {
        private var chunks: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
        private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
        private var rest = ""

        init(_ chunks: NIOAsyncChannelInboundStream<ByteBuffer>, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>)
        {
            self.chunks = chunks.makeAsyncIterator()
            self.outbound = outbound
        }

        func say(_ text: String) async throws { try await outbound.write(ByteBuffer(string: text)) }

        func say(bytes: [UInt8]) async throws { try await outbound.write(ByteBuffer(bytes: bytes)) }

        /// All that came up to the end of this.
        @discardableResult
        mutating func hear(_ part: String) async throws -> String {
            while true {
                if let range = rest.range(of: part) {
                    defer { rest = String(rest[range.upperBound...]) }
                    return String(rest[..<range.upperBound])
                }
                guard let chunk = try await chunks.next(isolation: #isolation) else {
                    throw Refusal("the bot ended the connection; it said \(rest)")
                }
                rest += String(buffer: chunk)
            }
        }

        /// All that comes until the bot ends the connection.
        mutating func end() async throws -> String {
            while let chunk = try await chunks.next(isolation: #isolation) { rest += String(buffer: chunk) }
            return rest
        }

        /// Lets the bot in by PLAIN, which it has to allow.
        mutating func login(_ features: String = "") async throws {
            try await authenticate(features)
            try await hear("</iq>")
            try await say(bound)
            if features.contains("<sm ") {
                try await hear("<enable")
                try await say("<enabled xmlns='\(XMPPNames.management)' id='s1' resume='true'/>")
            }
            try await hear("<presence/>")
        }

        /// Up to the features of the stream that is authenticated.
        mutating func authenticate(_ features: String = "") async throws {
            try await offer(["PLAIN"])
            try await hear("</auth>")
            try await say("<success xmlns='\(XMPPNames.sasl)'/>")
            try await hear("<stream:stream")
            try await say(
                header + "<stream:features><bind xmlns='\(XMPPNames.bind)'/>\(features)</stream:features>")
        }

        /// Answers the question that follows a message to somebody.
        mutating func answerWhatFollows(for person: String) async throws {
            let asked = try await hear("to='\(person)' type='get'")
            let id = try #require(asked.matches(of: #/<iq id='([^']+)'/#).last?.1)
            try await say("<iq type='result' id='\(id)' from='\(person)'/>")
        }

        mutating func offer(_ mechanisms: [String]) async throws {
            try await hear("<stream:stream")
            let names = mechanisms.map { "<mechanism>\($0)</mechanism>" }.joined()
            try await say(
                header
                    + "<stream:features><mechanisms xmlns='\(XMPPNames.sasl)'>\(names)</mechanisms></stream:features>")
        }
    }

    let port: Int
    let certificate: SelfSigned

    /// As the bot knows it.
    func settings(jid: String = "petrel@localhost", isEncrypted: Bool = true) throws -> XMPPSettings {
        var settings = XMPPSettings(jid: try #require(JID(jid)), password: Secret("secret"), nick: "petrel")
        settings.host = "127.0.0.1"
        settings.port = port
        settings.security = isEncrypted ? .direct : .starttls
        settings.authority = certificate.certificate
        settings.allowsPlain = true
        return settings
    }

    func backend(_ change: (inout XMPPSettings) throws -> Void = { _ in }) throws -> XMPPBackend {
        var settings = try settings()
        try change(&settings)
        return XMPPBackend(
            name: "xmpp", settings: settings, version: "1.2.3",
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// Runs the body beside it. The first connection gets the first script; a connection ends with its script.
    /// - Parameters:
    ///   - isEncrypted: from the first byte.
    ///   - certificate: of its own without one.
    static func run(
        isEncrypted: Bool = true, certificate: SelfSigned? = nil, _ scripts: [Script],
        _ body: @Sendable @escaping (ScriptedServer) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            let own = try await SelfSigned(in: folder)
            let certificate = certificate ?? own
            let context = isEncrypted ? try serverContext(certificate) : nil
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
                                throw Refusal("the bot did not connect so often")
                            }
                            try await connection.executeThenClose { inbound, outbound in
                                var conversation = Conversation(inbound, outbound)
                                try await script(&conversation)
                            }
                        }
                        // Whoever connects once more than there are scripts is sent away.
                        while let connection = try await next.next() {
                            try await connection.executeThenClose { _, _ in }
                        }
                    }
                }
                group.addTask {
                    try await body(server)
                    // Nobody comes any more.
                    listening.channel.close(promise: nil)
                }
                try await group.waitForAll()
            }
        }
    }

    /// For scripts that do not answer the questions which follow messages.
    static let hurried: @Sendable (inout XMPPSettings) -> Void = { $0.patience = .seconds(1) }

    /// Runs a bot with them, until the last of them has ended.
    static func serve(
        _ scripts: [Script],
        change: @Sendable @escaping (inout XMPPSettings) throws -> Void = { _ in }
    ) async throws {
        let isOver = Signal()
        let final = scripts[scripts.count - 1]
        let last: Script = { conversation in
            defer { isOver.open() }
            try await final(&conversation)
        }
        try await run(scripts.dropLast() + [last]) { server in
            try await TestHost.unhurried(try server.backend(change)).run([Say()]) { await isOver.wait() }
        }
    }

    private static func serverContext(_ certificate: SelfSigned) throws -> NIOSSLContext {
        try NIOSSLContext(
            configuration: .makeServerConfiguration(
                certificateChain: NIOSSLCertificate.fromPEMFile(certificate.certificate).map { .certificate($0) },
                privateKey: .privateKey(try NIOSSLPrivateKey(file: certificate.key, format: .pem))))
    }
}
