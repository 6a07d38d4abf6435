import AsyncHTTPClient
import FaultSuite
import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import PetrelKit
import PetrelSupport
import PetrelTesting
import PetrelWeb
import ServiceLifecycle
import StackStormSimulator
import Testing

@testable import StackStormClient

@Suite(.timeLimit(.minutes(30))) struct TransportTests {
    @Test(
        arguments: [
            ("https://st2.example.com/api", ["HTTPS_PROXY": "http://proxy:8080"], "proxy:8080"),
            ("https://st2.example.com/api", ["https_proxy": "proxy"], "proxy:3128"),
            ("http://st2.example.com/api", ["HTTPS_PROXY": "http://proxy:8080"], nil),
            ("https://st2.example.com/api", ["HTTPS_PROXY": "http://p:1", "NO_PROXY": "localhost, .example.com"], nil),
            ("http://127.0.0.1:9101/v1", ["http_proxy": "http://p:1", "NO_PROXY": "127.0.0.0/8"], nil),
            ("http://128.0.0.1/", ["http_proxy": "http://p:1", "NO_PROXY": "127.0.0.0/8"], "p:1"),
            ("http://[::1]:9101/", ["http_proxy": "http://p:1", "NO_PROXY": "::1"], nil),
            ("http://[2001:db8::5]/", ["http_proxy": "http://p:1", "NO_PROXY": "2001:db8::/32"], nil),
            ("http://[2001:db9::5]/", ["http_proxy": "http://p:1", "NO_PROXY": "2001:db8::/32"], "p:1"),
            ("http://[::1]:81/", ["http_proxy": "http://p:1", "NO_PROXY": "[::1]:81"], nil),
            ("http://[::1]:82/", ["http_proxy": "http://p:1", "NO_PROXY": "[::1]:81"], "p:1"),
            ("http://[::1]/", ["http_proxy": "http://p:1", "NO_PROXY": "[::1]/128"], nil),
            ("http://a.example.com/", ["http_proxy": "http://p:1", "NO_PROXY": "example.com:80"], nil),
            ("http://a.example.com:8443/", ["http_proxy": "http://p:1", "NO_PROXY": "example.com:80"], "p:1"),
            ("http://a.example.com/", ["http_proxy": "http://p:1", "NO_PROXY": "*.example.com"], nil),
            ("http://a.example.com/", ["http_proxy": "http://p:1", "NO_PROXY": "..example.com."], nil),
            ("http://x/", ["http_proxy": "http://p:1", "NO_PROXY": " , ,*"], nil),
            ("http://10.0.0.1/", ["http_proxy": "http://p:1", "NO_PROXY": "10.0.0.0/33"], "p:1"),
            ("http://10.0.0.1/", ["http_proxy": "http://p:1", "NO_PROXY": "10.0.0.0/8:80"], nil),
            ("http://10.0.0.1:444/", ["http_proxy": "http://p:1", "NO_PROXY": "10.0.0.0/8:80"], "p:1"),
            ("https://st2.example.com/api", ["HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"], nil),
            ("https://st2.example.com/api", ["HTTPS_PROXY": "http://p:1", "NO_PROXY": "ple.com"], "p:1"),
            ("https://st2.example.com/api", ["ALL_PROXY": "http://p:1"], "p:1"),
            ("https://st2.example.com/api", [:], nil),
            // The proxy must not be left out, and a connection to such a port would end the program.
            ("https://st2.example.com/api", ["ALL_PROXY": "http://p:99999"], "p:0"),
        ] as [(String, [String: String], String?)]) func `the proxy is read from the environment`(
            address: String, environment: [String: String], expected: String?
        ) throws
    {
        let proxy = ProxyEnvironment(environment).proxy(for: try #require(URL(string: address)))
        #expect(proxy.map { "\($0.host):\($0.port)" } == expected)
    }

    @Test func `a certificate of a private authority is trusted only if the authority is configured`() async throws {
        try await withFolder { try await Self.trust(in: $0) }
    }

    private static func trust(in folder: URL) async throws {
        try await withServer(in: folder) { port, certificate in
            let trusted = try Self.client(port) { $0.tls.authority = certificate }
            #expect(try await trusted.account().username == "tls")
            let careless = try Self.client(port) { $0.tls.verifies = false }
            #expect(try await careless.account().username == "tls")
            let stranger = try Self.client(port) { _ in }
            await #expect { try await stranger.account() } throws: { error in
                let error = error as? StackStormError
                return error?.code == .unreachable && error?.setting == "ca_cert"
                    && error?.description.contains("its certificate is not trusted") == true
                    && error?.description.contains("OPENSSL") == false
            }
        }
    }

    /// A StackStorm with TLS that has only one response.
    private static func withServer(
        in folder: URL, _ body: @Sendable (Int, String) async throws -> Void
    ) async throws {
        let files = try await SelfSigned(in: folder)
        let (certificate, key) = (files.certificate, files.key)
        let (ports, found) = AsyncStream.makeStream(of: Int.self)
        let server = WebServer(
            WebServer.Settings(host: "127.0.0.1", port: 0, tls: (certificate, key)),
            routes: [
                WebRoute(.get, "/api/v1/user") { _ in WebResponse(status: 200, body: Array(#"{"username":"tls"}"#.utf8))
                }
            ], logger: Bench.logger, listening: { found.yield($0) })
        let services = ServiceGroup(services: [server], logger: Bench.logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await services.run() }
            for await port in ports {
                try await body(port, certificate)
                await services.triggerGracefulShutdown()
                break
            }
            try await group.waitForAll()
        }
    }

    @Test func `the proxy of the environment is used for the API and the stream`() async throws {
        try await withFolder { folder in
            try await Proxy.run(in: folder) { proxy in
                try await Bench.run {
                    $0.environment = ["http_proxy": proxy.url]
                } _: { bench in
                    bench.backend.type("!st2 echo through")
                    #expect(await bench.text().hasPrefix("core.echo started"))
                    #expect(await bench.text().contains("through"))
                    var settings = bench.client.settings
                    settings.environment = ["http_proxy": proxy.anonymous]
                    let stranger = try StackStormClient(settings, logger: Bench.logger)
                    await #expect { try await stranger.account() } throws: { error in
                        (error as? StackStormError)?.message.contains("the proxy rejects the user name") == true
                    }
                }
            }
        }
    }

    @Test func `an encrypted connection passes the proxy unchanged`() async throws {
        try await withFolder { folder in
            try await Proxy.run(in: folder) { proxy in
                try await Self.withServer(in: folder) { port, certificate in
                    let client = try Self.client(port) {
                        $0.tls.authority = certificate
                        $0.environment = ["HTTPS_PROXY": proxy.url]
                    }
                    #expect(try await client.account().username == "tls")
                    let stranger = try Self.client(port) {
                        $0.tls.authority = certificate
                        $0.environment = ["HTTPS_PROXY": proxy.anonymous]
                    }
                    await #expect { try await stranger.account() } throws: { error in
                        (error as? StackStormError)?.message.contains("the proxy rejects the user name") == true
                    }
                }
            }
        }
    }

    @Test func `a client certificate is sent to a server that requires one`() async throws {
        try await withFolder { folder in
            let files = try await SelfSigned(in: folder)
            let (certificate, key) = (files.certificate, files.key)
            let chain = try NIOSSLCertificate.fromPEMFile(certificate)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) },
                privateKey: .privateKey(try NIOSSLPrivateKey(file: key, format: .pem)))
            configuration.certificateVerification = .noHostnameVerification
            configuration.trustRoots = .certificates(chain)
            let context = try NIOSSLContext(configuration: configuration)
            let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .childChannelInitializer { child in
                    child.eventLoop.makeCompletedFuture {
                        try child.pipeline.syncOperations.addHandlers(
                            [NIOSSLServerHandler(context: context), SayWho()])
                    }
                }.bind(host: "127.0.0.1", port: 0).get()
            let port = server.localAddress?.port ?? 0
            let known = try Self.client(port) {
                $0.tls.authority = certificate
                $0.tls.certificate = certificate
                $0.tls.key = key
            }
            #expect(try await known.account().username == "known")
            let stranger = try Self.client(port) { $0.tls.authority = certificate }
            await #expect(throws: StackStormError.self) { try await stranger.account() }
            #expect {
                try Self.client(port) { $0.tls.certificate = folder.path + "/none.pem" }
            } throws: {
                (($0 as? StackStormError)?.message ?? "").hasPrefix(
                    "client_cert and client_key: \(folder.path)/none.pem")
            }
            try await server.close()
        }
    }

    /// A handler that responds to every request.
    private final class SayWho: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let body = #"{"username":"known"}"#
            let answer =
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
        }
    }

    @Test func `a TLS connection that ends without an alert leaves the outcome of a request unknown`() async throws {
        try await withFolder { folder in
            let files = try await SelfSigned(in: folder)
            let (certificate, key) = (files.certificate, files.key)
            let context = try NIOSSLContext(
                configuration: .makeServerConfiguration(
                    certificateChain: NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) },
                    privateKey: .privateKey(NIOSSLPrivateKey(file: key, format: .pem))))
            let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .childChannelInitializer { child in
                    child.eventLoop.makeCompletedFuture {
                        let cutter = Cutter()
                        let pipeline = child.pipeline.syncOperations
                        try pipeline.addHandler(cutter)
                        try pipeline.addHandler(NIOSSLServerHandler(context: context))
                        try pipeline.addHandler(CutAtRequest(cutter))
                    }
                }.bind(host: "127.0.0.1", port: 0).get()
            let client = try Self.client(server.localAddress?.port ?? 0) { $0.tls.authority = certificate }
            await #expect { try await client.account() } throws: { ($0 as? StackStormError)?.code == .noAnswer }
            try await server.close()
        }
    }

    /// A handler below TLS that ends the connection without the alert `close_notify`.
    private final class Cutter: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private var context: ChannelHandlerContext?

        func handlerAdded(context: ChannelHandlerContext) { self.context = context }
        func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }
        func cut() { context?.close(promise: nil) }
    }

    private final class CutAtRequest: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let cutter: Cutter

        init(_ cutter: Cutter) { self.cutter = cutter }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { cutter.cut() }
    }

    private static func client(_ port: Int, _ change: (inout StackStormSettings) -> Void) throws -> StackStormClient {
        let url = try #require(URL(string: "https://localhost:\(port)/api/v1"))
        var settings = StackStormSettings(auth: url, api: url, stream: url, login: .token(Secret("t")))
        change(&settings)
        return try StackStormClient(settings, logger: Bench.logger)
    }

    @Test func `a response that exceeds the limit is rejected, and one that stalls times out`() async throws {
        try await Bench.withSimulator { stackStorm, port in
            let small = try StackStormClient(
                try Bench.client(port: port) { $0.limits.body = 1_000 }, logger: Bench.logger)
            await #expect { try await small.aliases() } throws: { error in
                (error as? StackStormError)?.message == "the response exceeds the size limit"
            }
            await stackStorm.setFault(.silent, for: .actionalias)
            let hasty = try StackStormClient(
                try Bench.client(port: port) { $0.limits.answer = .seconds(3) }, logger: Bench.logger)
            await #expect { try await hasty.aliases() } throws: { ($0 as? StackStormError)?.code == .noAnswer }
        }
    }

    @Test func `a token that StackStorm rejects is reported, and an API key works too`() async throws {
        try await Bench.withSimulator { stackStorm, port in
            let wrong = try StackStormClient(
                try Bench.client(port: port) { $0.login = .token(Secret("hunter2")) }, logger: Bench.logger)
            await #expect { try await wrong.account() } throws: { error in
                (error as? StackStormError)?.code == .unauthorized && !"\(error)".contains("hunter2")
            }
            await stackStorm.addAPIKey("key1", for: "bot")
            let key = try StackStormClient(
                try Bench.client(port: port) { $0.login = .apiKey(Secret("key1")) }, logger: Bench.logger)
            #expect(try await key.account().username == "bot")
        }
    }
}
