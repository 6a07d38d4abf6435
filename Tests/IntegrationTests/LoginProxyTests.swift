import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport
import PetrelTesting
import PetrelWeb
import ServiceLifecycle
import StackStormClient
import StackStormModule
import StackStormSimulator
import Testing

@testable import PetrelApp

@Suite(.timeLimit(.minutes(30))) struct LoginProxyTests {
    @Test func `nginx hides internal routes, requires modern TLS, and forwards client addresses`() async throws {
        try await LoginHouse.run { house in
            func get(_ path: String) async throws -> HTTPClientResponse {
                try await house.web.execute(HTTPClientRequest(url: house.page + path), timeout: .minutes(10))
            }
            for path in ["", "index.html", "login.css", "login.js"] {
                let answer = try await get(path)
                #expect(answer.status == .ok)
                for (name, value) in [
                    ("content-security-policy", "frame-ancestors 'none'"), ("x-frame-options", "DENY"),
                    ("referrer-policy", "no-referrer"), ("strict-transport-security", "max-age"),
                    ("cache-control", "no-store"), ("x-content-type-options", "nosniff"),
                ] {
                    #expect(
                        answer.headers[name].count == 1 && answer.headers.first(name: name)?.contains(value) == true,
                        "\(path) \(name)")
                }
                #expect(answer.headers.first(name: "server") == "nginx")
                // Petrel itself serves the same page.
                let own = try await house.web.execute(
                    HTTPClientRequest(url: "http://127.0.0.1:\(house.petrelPort)/\(path)"), timeout: .minutes(10))
                #expect(own.status == .ok)
                #expect(
                    own.headers.first(name: "content-security-policy")
                        == answer.headers.first(name: "content-security-policy"))
                #expect(try await own.body.collect(upTo: 1 << 20) == answer.body.collect(upTo: 1 << 20))
            }
            for path in ["health", "metrics", "chatops/message", "login"] {
                #expect(try await get(path).status != .ok, "\(path) is not for people")
            }
            var post = HTTPClientRequest(url: house.page)
            post.method = .POST
            #expect(try await house.web.execute(post, timeout: .minutes(10)).status == .forbidden)

            func open(_ body: [UInt8], _ change: (inout HTTPClientRequest) -> Void = { _ in }) async throws
                -> HTTPClientResponse
            {
                var request = HTTPClientRequest(url: house.page + "login/open")
                request.method = .POST
                request.headers.add(name: "origin", value: String(house.page.dropLast()))
                request.headers.add(name: "content-type", value: "application/json")
                request.headers.add(name: "x-forwarded-for", value: "203.0.113.66")
                request.body = .bytes(ByteBuffer(bytes: body))
                change(&request)
                return try await house.web.execute(request, timeout: .minutes(10))
            }
            #expect(try await open(Array(repeating: 32, count: 20_000)).status == .payloadTooLarge)
            #expect(try await open([]).status == .badRequest)
            let link = try await house.link()
            let body = try JSONValue.encode(["link": link.split(separator: "#")[1].description])
            #expect(
                try await open(body) { $0.headers.replaceOrAdd(name: "origin", value: "https://evil.example.com") }
                    .status == .forbidden)
            let opened = try await open(body)
            #expect(opened.status == .ok)
            #expect(opened.headers.first(name: "set-cookie")?.contains("; Secure") == true)
            #expect(
                house.log.value.contains { $0.contains("was opened from 127.0.0.1") },
                "the invented address is not believed")

            // A thousand concurrent guesses on the page that was just opened.
            let json = try JSONValue.parse(try await opened.body.collect(upTo: 1 << 16).readableBytesView)
            let cookie = opened.headers.first(name: "set-cookie")?.split(separator: ";").first ?? ""
            var guess = HTTPClientRequest(url: house.page + "login/authenticate")
            guess.method = .POST
            guess.headers = [
                "origin": String(house.page.dropLast()), "content-type": "application/json", "cookie": String(cookie),
                "x-petrel-token": json["token"]?.string ?? "",
            ]
            let prepared = guess
            let statuses = try await withThrowingTaskGroup(of: UInt.self) { group in
                for number in 0..<1_000 {
                    group.addTask {
                        var request = prepared
                        let body: JSONValue = [
                            "page": json["page"] ?? .null, "word": .string("guess\(number)"), "token": "t",
                        ]
                        request.body = .bytes(ByteBuffer(bytes: try JSONValue.encode(body)))
                        return try await house.web.execute(request, timeout: .minutes(10)).status.code
                    }
                }
                return try await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
            }
            #expect(statuses[403] == 3 && Set(statuses.keys).isSubset(of: [403, 410, 429]), "\(statuses)")
            #expect(await house.told().contains("withdrawn after too many failed attempts"))

            for (version, works) in [(TLSVersion.tlsv11, false), (.tlsv12, true), (.tlsv13, true)] {
                var tls = TLSConfiguration.makeClientConfiguration()
                tls.certificateVerification = .none
                (tls.minimumTLSVersion, tls.maximumTLSVersion) = (version, version)
                let client = HTTPClient(
                    eventLoopGroupProvider: .singleton, configuration: .init(tlsConfiguration: tls))
                let status = try? await client.execute(HTTPClientRequest(url: house.page), timeout: .minutes(2)).status
                #expect((status == .ok) == works, "\(version)")
                try await client.shutdown()
            }
        }
    }
}
