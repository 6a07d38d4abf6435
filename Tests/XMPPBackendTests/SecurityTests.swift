import FaultSuite
import Foundation
import Logging
import NIOCore
import NIOPosix
import PetrelKit
import PetrelTesting
import Testing

@testable import XMPPBackend

/// Authentication of the server, and protection of the password.
@Suite(.timeLimit(.minutes(30))) struct SecurityTests {
    private static func failure(_ settings: XMPPSettings) async -> String {
        let backend = XMPPBackend(name: "xmpp", settings: settings, version: "1", logger: .init(label: "test"))
        do {
            try await backend.run { _ in }
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test func `a certificate of another domain or of an unknown authority is rejected`() async throws {
        let script: ScriptedServer.Script = { conversation in
            // The handshake fails on this side too, or the connection ends after it.
            let said = (try? await conversation.end()) ?? ""
            #expect(said == "")
        }
        try await ScriptedServer.run([script, script]) { server in
            let other = await Self.failure(try server.settings(jid: "petrel@example.com"))
            #expect(other.contains("the certificate does not match example.com"))
            var settings = try server.settings()
            settings.authority = nil
            #expect(await Self.failure(settings).contains("not signed by a trusted authority"))
        }
    }

    @Test func `the password is sent in plain text only if that is allowed`() async throws {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.offer(["PLAIN", "X-OAUTH2"])
            #expect(try await !conversation.end().contains("<auth"))
        }
        let allowed: ScriptedServer.Script = { conversation in
            try await conversation.offer(["PLAIN"])
            let auth = try await conversation.hear("</auth>")
            #expect(auth.contains(">\(Data("\0petrel\0secret".utf8).base64EncodedString())<"))
        }
        try await ScriptedServer.run([script, allowed]) { server in
            var settings = try server.settings()
            settings.allowsPlain = false
            #expect(await Self.failure(settings).contains("allow_plain"))
            settings.allowsPlain = true
            #expect(await Self.failure(settings) != "")
        }
    }

    @Test(arguments: [
        ("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>", true),
        ("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><account-disabled/></failure>", true),
        ("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><temporary-auth-failure/></failure>", false),
    ])
    func `a rejected login is a final failure, unless it is temporary`(_ answer: String, _ isFinal: Bool) async throws {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.offer(["PLAIN"])
            try await conversation.hear("</auth>")
            try await conversation.say(answer)
            _ = try await conversation.end()
        }
        try await ScriptedServer.run([script]) { server in
            let failure = await #expect(throws: BackendFailure.self) { try await server.backend().run { _ in } }
            #expect(failure?.isFinal == isFinal)
            #expect(failure?.message.contains("rejected the login of petrel@localhost") == true)
        }
    }

    @Test func `a server that does not know the password is rejected`() async throws {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.offer(["SCRAM-SHA-256"])
            let auth = try await conversation.hear("</auth>")
            let first = try #require(auth.firstMatch(of: />([^<>]+)<\/auth>$/)?.1)
            let message = String(decoding: try #require(Data(base64Encoded: String(first))), as: UTF8.self)
            let nonce = try #require(message.split(separator: "r=").last)
            func encoded(_ text: String) -> String { Data(text.utf8).base64EncodedString() }
            try await conversation.say(
                "<challenge xmlns='\(XMPPNames.sasl)'>\(encoded("r=\(nonce)x,s=c2FsdA==,i=4096"))</challenge>")
            try await conversation.hear("</response>")
            try await conversation.say(
                "<success xmlns='\(XMPPNames.sasl)'>\(encoded("v=" + encoded("it is me")))</success>")
            _ = try await conversation.end()
        }
        try await ScriptedServer.run([script]) { server in
            let failure = await Self.failure(try server.settings())
            #expect(failure.contains("did not prove that it knows the password"))
        }
    }

    @Test(arguments: [
        ("<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></stream:features>", "offers no TLS"),
        (
            "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"
                + "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "rejected STARTTLS"
        ),
        (
            "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"
                + "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><message><body>!rm</body></message>",
            "between STARTTLS and the TLS handshake"
        ),
        ("<!DOCTYPE x><stream:features/>", "not well-formed"), ("</stream:stream>", "before TLS was established"),
    ])
    func `without TLS the bot sends no credentials and accepts no data`(_ answer: String, _ reason: String) async throws
    {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.hear("<stream:stream")
            try await conversation.say(ScriptedServer.header + answer)
            // The bot closes the connection; unread data may cause a reset.
            let said = (try? await conversation.end()) ?? ""
            #expect(!said.contains("<auth") && !said.contains("petrel"))
        }
        try await ScriptedServer.run(isEncrypted: false, [script]) { server in
            let failure = await Self.failure(try server.settings(isEncrypted: false))
            #expect(failure.contains(reason))
        }
    }

    @Test func `the bot finds servers with SRV records and uses the first that is reachable`() async throws {
        let script: ScriptedServer.Script = { conversation in try await conversation.hear("<stream:stream") }
        try await ScriptedServer.run([script]) { server in
            let closed = try freePort()
            try await NameServer.run([
                "_xmpps-client._tcp.example.com": [(20, 1, server.port, "localhost")],
                "_xmpp-client._tcp.example.com": [(10, 1, closed, "localhost")],
            ]) { names in
                let addresses = try await ServiceLookup(port: names).addresses(of: "example.com")
                #expect(
                    addresses == [
                        ServerAddress(host: "localhost", port: closed, isDirect: false),
                        ServerAddress(host: "localhost", port: server.port, isDirect: true),
                    ])
                let connector = XMPPConnector(
                    loop: .singletonMultiThreadedEventLoopGroup.next(), domain: "localhost",
                    tls: try server.settings().tls)
                let channel = try await connector.open(addresses)
                try await channel.executeThenClose { _, outbound in
                    try await outbound.write(.init(string: StreamHeader.text(to: "localhost")))
                }
                // Without SRV records, the domain itself is the host.
                #expect(
                    try await ServiceLookup(port: names).addresses(of: "example.org")
                        == [ServerAddress(host: "example.org", port: 5_222, isDirect: false)])
            }
            try await NameServer.run(["_xmpps-client._tcp.example.com": [(0, 0, 0, ".")]]) { names in
                // The domain has no direct TLS, and no records for STARTTLS.
                let addresses = try await ServiceLookup(port: names).addresses(of: "example.com")
                #expect(addresses == [ServerAddress(host: "example.com", port: 5_222, isDirect: false)])
            }
            try await NameServer.run(["_xmpp-client._tcp.example.com": [(0, 0, 0, ".")]]) { names in
                await #expect(throws: ServiceLookup.Failure.self) {
                    try await ServiceLookup(port: names).addresses(of: "example.com")
                }
            }
        }
    }
}
