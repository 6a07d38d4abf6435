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

/// A server that plays a script for each connection, for behavior that real servers do not show on demand.
struct ScriptedServer: Sendable {
    typealias Script = @Sendable (inout Conversation) async throws -> Void

    static let header =
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
        + "id='1' from='localhost' version='1.0'>"

    /// The stream feature of a server that supports stream management (XEP-0198).
    static let manages = "<sm xmlns='\(XMPPNames.management)'/>"

    static let bound =
        "<iq type='result' id='bind'><bind xmlns='\(XMPPNames.bind)'><jid>petrel@localhost/r1</jid></bind></iq>"

    /// The server side of one connection.
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

        /// Receives data up to the end of this text and returns it.
        @discardableResult
        mutating func hear(_ part: String) async throws -> String {
            while true {
                if let range = rest.range(of: part) {
                    defer { rest = String(rest[range.upperBound...]) }
                    return String(rest[..<range.upperBound])
                }
                guard let chunk = try await chunks.next(isolation: #isolation) else {
                    throw Refusal("the bot closed the connection after \(rest)")
                }
                rest += String(buffer: chunk)
            }
        }

        /// Receives data until the bot closes the connection and returns it.
        mutating func end() async throws -> String {
            while let chunk = try await chunks.next(isolation: #isolation) { rest += String(buffer: chunk) }
            return rest
        }

        /// Accepts a login with PLAIN, which the bot's settings must allow.
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

        /// Authenticates the bot, up to the features of the authenticated stream.
        mutating func authenticate(_ features: String = "") async throws {
            try await offer(["PLAIN"])
            try await hear("</auth>")
            try await say("<success xmlns='\(XMPPNames.sasl)'/>")
            try await hear("<stream:stream")
            try await say(
                header + "<stream:features><bind xmlns='\(XMPPNames.bind)'/>\(features)</stream:features>")
        }

        /// Answers the request that follows a message to a person.
        mutating func answerRequest(to person: String) async throws {
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

    /// Returns settings for connecting to this server.
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

    /// Runs a server and the body. Each script serves one connection, in order, which is closed at its end.
    /// - Parameters:
    ///   - isEncrypted: true for direct TLS.
    ///   - certificate: the server's certificate; nil to create one.
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

    /// A change of the settings for scripts that do not answer the requests that follow messages.
    static let shortPatience: @Sendable (inout XMPPSettings) -> Void = { $0.patience = .seconds(1) }

    /// Runs a bot against these scripts until the last one has ended.
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
