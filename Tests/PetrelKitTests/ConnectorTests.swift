import FaultSuite
import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@Suite(.timeLimit(.minutes(30))) struct ConnectorTests {
    private static let patience = Duration.seconds(600)
    private static let loop = EventLoopExecutor().eventLoop

    @Test func `data travels over TLS if the certificate is trusted and matches the host`() async throws {
        try await Self.withServer { port, authority in
            let connector = TCPConnector(
                host: "localhost", port: port, security: .tls(trusting: authority), within: Self.patience)
            let connection = try await connector.open(on: Self.loop)
            try await connection.executeThenClose { inbound, outbound in
                try await outbound.write(ByteBuffer(string: "hello"))
                var heard = ""
                for try await bytes in inbound {
                    heard += String(buffer: bytes)
                    if heard.utf8.count == 5 { break }
                }
                #expect(heard == "hello")
            }
        }
    }

    @Test func `the error says what is wrong with a certificate, and names the key of the authorities`() async throws {
        try await Self.withServer { port, authority in
            let other = TCPConnector(
                host: "127.0.0.1", port: port, security: .tls(trusting: authority), within: Self.patience)
            try await Self.expect(
                other, "cannot connect to 127.0.0.1:\(port): the certificate does not match 127.0.0.1")
            let untrusted = TCPConnector(
                host: "localhost", port: port, security: .tls(trusting: nil), authoritiesKey: "authorities",
                within: Self.patience)
            try await Self.expect(
                untrusted,
                "cannot connect to localhost:\(port): the certificate is not signed by a trusted authority; "
                    + "authorities sets another one")
        }
    }

    @Test func `a file with authorities that cannot be read is a final error`() async throws {
        let connector = TCPConnector(host: "localhost", port: 1, security: .tls(trusting: "/does/not/exist.pem"))
        let error = await #expect(throws: BackendFailure.self) { try await connector.open(on: Self.loop) }
        let failure = try #require(error)
        #expect(failure.isFinal)
        #expect(failure.message.utf8.starts(with: "cannot read ca_cert, which must be a PEM file: ".utf8))
    }

    @Test(arguments: [true, false]) func `a server that does not answer the handshake is given up`(
        isCancelled: Bool
    ) async throws {
        try await Self.withServer(isSilent: true) { port, authority in
            let limit = isCancelled ? Duration.seconds(500) : .milliseconds(50)
            let connector = TCPConnector(
                host: "localhost", port: port, security: .tls(trusting: authority), within: limit)
            let opening = Task { try await connector.open(on: Self.loop) }
            if isCancelled {
                opening.cancel()
                await #expect(throws: CancellationError.self) { try await opening.value }
            } else {
                let error = await #expect(throws: BackendFailure.self) { try await opening.value }
                #expect(error?.message == "cannot connect to localhost:\(port): timed out")
            }
        }
    }

    @Test func `a connection without TLS opens at once`() async throws {
        try await Self.withServer(isSilent: true) { port, _ in
            let connector = TCPConnector(host: "127.0.0.1", port: port, security: .unencrypted, within: Self.patience)
            try await connector.open(on: Self.loop).executeThenClose { _, _ in }
        }
    }

    private static func expect(
        _ connector: TCPConnector, _ message: String, at place: SourceLocation = #_sourceLocation
    ) async throws {
        let error = await #expect(throws: BackendFailure.self, sourceLocation: place) {
            try await connector.open(on: loop)
        }
        #expect(error?.message == message && error?.isFinal == false, sourceLocation: place)
    }

    /// Runs a server that sends back what it receives over TLS, or that never answers, and passes its port and its
    /// certificate, which is valid for `localhost`.
    private static func withServer(
        isSilent: Bool = false, _ body: (_ port: Int, _ authority: String) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            let certificate = try await SelfSigned(in: folder)
            let context = try NIOSSLContext(
                configuration: .makeServerConfiguration(
                    certificateChain: try NIOSSLCertificate.fromPEMFile(certificate.certificate)
                        .map { .certificate($0) },
                    privateKey: .privateKey(try NIOSSLPrivateKey(file: certificate.key, format: .pem))))
            let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        guard !isSilent else { return }
                        try channel.pipeline.syncOperations.addHandlers(
                            NIOSSLServerHandler(context: context), Echoing())
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
            let port = try #require(server.localAddress?.port)
            do {
                try await body(port, certificate.certificate)
            } catch {
                server.close(promise: nil)
                throw error
            }
            try await server.close()
        }
    }
}

/// Sends back what it receives.
private final class Echoing: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.writeAndFlush(data, promise: nil) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
