import AsyncHTTPClient
import FaultSuite
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import PetrelKit
import PetrelTesting
import ServiceLifecycle
import Testing

@testable import PetrelWeb

@Suite(.timeLimit(.minutes(30))) struct ServerTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private static func withServer(
        _ settings: WebServer.Settings, _ body: @Sendable (Int) async throws -> Void
    ) async throws {
        let (ports, found) = AsyncStream.makeStream(of: Int.self)
        let server = WebServer(
            settings,
            routes: [
                WebRoute(.get, "/health", bodyLimit: 0) { _ in .text("fine") },
                WebRoute(.post, "/echo", bodyLimit: 1_000) { WebResponse(status: 200, body: $0.body) },
                WebRoute(.get, "/items/{id}") { .text($0.parameters["id"] ?? "") },
                WebRoute(.post, "/items/{id}") { .text($0.parameters["id"] ?? "", status: 201) },
                WebRoute(.post, "/secret") { _ in .text("in") }.refusing { _ in .text("out", status: 403) },
            ], logger: logger, listening: { found.yield($0) })
        let services = ServiceGroup(services: [server], logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await services.run() }
            for await port in ports {
                try await body(port)
                await services.triggerGracefulShutdown()
                break
            }
            try await group.waitForAll()
        }
    }

    @Test(arguments: [nil, "127.0.0.1"] as [String?])
    func `slow requests do not block the health check, even from the same address`(
        proxy: String?
    ) async throws {
        var limits = WebLimits()
        (limits.connections, limits.connectionsOfAddress) = (16, 8)
        let proxies = proxy.flatMap { TrustedProxies([$0]) }
        let kept = proxy == nil ? 8 : 16
        let settings = WebServer.Settings(host: "127.0.0.1", port: 0, proxies: proxies, limits: limits)
        try await Self.withServer(settings) { port in
            let (closed, closing) = AsyncStream.makeStream(of: Void.self)
            var slow: [any Channel] = []
            for _ in 0..<40 {
                let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                    .connect(host: "127.0.0.1", port: port).get()
                channel.closeFuture.whenComplete { _ in closing.yield() }
                let head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nx"
                channel.writeAndFlush(ByteBuffer(string: head), promise: nil)
                slow.append(channel)
            }
            let answer = try await HTTPClient.shared.execute(
                HTTPClientRequest(url: "http://127.0.0.1:\(port)/health"), timeout: .minutes(2))
            #expect(answer.status == .ok)
            var iterator = closed.makeAsyncIterator()
            for _ in 0..<(40 - kept) { _ = await iterator.next() }
            for channel in slow { channel.close(promise: nil) }
        }
    }

    @Test func `every response over TLS has the security headers, including error responses`() async throws {
        try await withFolder { folder in
            let files = try await SelfSigned(in: folder)
            let settings = WebServer.Settings(host: "127.0.0.1", port: 0, tls: (files.certificate, files.key))
            try await Self.withServer(settings) { port in
                var tls = TLSConfiguration.makeClientConfiguration()
                tls.additionalTrustRoots = [.certificates(try NIOSSLCertificate.fromPEMFile(files.certificate))]
                let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: .init(tlsConfiguration: tls))
                for (method, path, size, status) in [
                    (HTTPMethod.GET, "health", 0, UInt(200)), (.GET, "nothing", 0, 404), (.POST, "health", 0, 405),
                    (.POST, "echo", 2_000, 413), (.POST, "secret", 10, 403),
                ] {
                    var request = HTTPClientRequest(url: "https://localhost:\(port)/\(path)")
                    request.method = method
                    if size > 0 { request.body = .bytes(ByteBuffer(repeating: 0x20, count: size)) }
                    let answer = try await client.execute(request, timeout: .minutes(2))
                    #expect(answer.status.code == status, "\(path)")
                    for name in Array(SecurityHeaders.all.keys) + ["strict-transport-security"] {
                        #expect(answer.headers[name].count == 1, "\(path) \(name)")
                    }
                }
                try await client.shutdown()
            }
        }
    }

    @Test(
        arguments: [
            ("GET", "/echo", 405, "POST"), ("HEAD", "/echo", 405, "POST"), ("DELETE", "/echo/", 405, "POST"),
            ("PROPFIND", "/health", 405, "GET, HEAD"), ("OPTIONS", "/health", 405, "GET, HEAD"),
            ("PUT", "/items/7", 405, "GET, HEAD, POST"), ("GET", "/secret", 405, "POST"), ("HEAD", "/health", 200, nil),
            ("POST", "/items/7", 201, nil), ("GET", "/items/7", 200, nil), ("PUT", "/items", 404, nil),
            ("DELETE", "/items/7/8", 404, nil), ("POST", "/", 404, nil),
        ] as [(String, String, UInt, String?)])
    func `a known path refuses other methods, and names its own`(
        method: String, path: String, status: UInt, allowed: String?
    ) async throws {
        try await Self.withServer(WebServer.Settings(host: "127.0.0.1", port: 0)) { port in
            var request = HTTPClientRequest(url: "http://127.0.0.1:\(port)\(path)")
            request.method = HTTPMethod(rawValue: method)
            let answer = try await HTTPClient.shared.execute(request, timeout: .minutes(2))
            #expect(answer.status.code == status)
            #expect(answer.headers.first(name: "allow") == allowed)
        }
    }
}
