import Foundation
import PetrelKit
import PetrelSupport
import Testing

@testable import XMPPBackend

/// Stream errors, silent servers and malicious input.
@Suite(.timeLimit(.minutes(30))) struct StreamTests {
    /// All conditions of RFC 6120, section 4.9.3, except `see-other-host`.
    private static let conditions = [
        "bad-format", "bad-namespace-prefix", "conflict", "connection-timeout", "host-gone", "host-unknown",
        "improper-addressing", "internal-server-error", "invalid-from", "invalid-namespace", "invalid-xml",
        "not-authorized", "not-well-formed", "policy-violation", "remote-connection-failed", "reset",
        "resource-constraint", "restricted-xml", "system-shutdown", "undefined-condition", "unsupported-encoding",
        "unsupported-feature", "unsupported-stanza-type", "unsupported-version",
    ]

    private static func failure(of backend: XMPPBackend) async -> BackendFailure? {
        do {
            try await backend.run { _ in }
            return nil
        } catch {
            return error as? BackendFailure
        }
    }

    @Test(arguments: conditions) func `a stream error is a failure that is not final`(_ condition: String)
        async throws
    {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login()
            try await conversation.say(
                "<stream:error><\(condition) xmlns='\(XMPPNames.streamErrors)'/></stream:error></stream:stream>")
            _ = try await conversation.end()
        }
        try await ScriptedServer.run([script]) { server in
            let failure = try #require(await Self.failure(of: try server.backend()))
            #expect(failure.message.contains(condition) && !failure.isFinal)
            #expect(failure.message.contains("same resource") == (condition == "conflict"))
        }
    }

    @Test func `the bot follows a redirection with its next connection`() async throws {
        let second: ScriptedServer.Script = { conversation in try await conversation.login() }
        try await ScriptedServer.run([second]) { other in
            let first: ScriptedServer.Script = { conversation in
                try await conversation.login()
                try await conversation.say(
                    "<stream:error><see-other-host xmlns='\(XMPPNames.streamErrors)'>127.0.0.1:\(other.port)"
                        + "</see-other-host></stream:error>")
                _ = try await conversation.end()
            }
            try await ScriptedServer.run(certificate: other.certificate, [first]) { server in
                let backend = try server.backend()
                #expect(await Self.failure(of: backend)?.message == "the server redirects the bot to 127.0.0.1")
                // The error depends on how the bot notices the end of the script.
                await #expect(throws: (any Error).self) { try await backend.run { _ in } }
            }
        }
    }

    @Test func `the bot follows a redirection before TLS`() async throws {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.hear("<stream:stream")
            try await conversation.say(
                ScriptedServer.header + "<stream:error><see-other-host xmlns='\(XMPPNames.streamErrors)'>other.example"
                    + "</see-other-host></stream:error>")
            _ = try? await conversation.end()
        }
        try await ScriptedServer.run(isEncrypted: false, [script]) { server in
            let backend = try server.backend { $0.security = .starttls }
            #expect(await Self.failure(of: backend)?.message == "the server redirects the bot to other.example")
        }
    }

    /// The last step of a server before it becomes silent.
    enum Silence: String, CaseIterable, CustomTestStringConvertible {
        case header, mechanisms, success, bind, presence

        var testDescription: String { rawValue }
    }

    @Test(arguments: Silence.allCases) func `the bot disconnects from a silent server`(_ silence: Silence) async throws
    {
        let isSilent = Locked(false)
        let script: ScriptedServer.Script = { conversation in
            do {
                switch silence {
                case .header: break
                case .mechanisms: try await conversation.offer(["PLAIN"])
                case .success:
                    try await conversation.offer(["PLAIN"])
                    try await conversation.say("<success xmlns='\(XMPPNames.sasl)'/>")
                case .bind: try await conversation.authenticate()
                case .presence:
                    try await conversation.login()
                    // The bot sends a ping.
                    try await conversation.hear(XMPPNames.ping)
                }
                isSilent.withLock { $0 = true }
                _ = try await conversation.end()
            } catch  where !isSilent.value {
                // The bot has disconnected before this step.
            }
        }
        // A machine that stands still may exceed the first times before the last step.
        for factor in [1, 10, 50] where !isSilent.value {
            try await ScriptedServer.run([script]) { server in
                let backend = try server.backend {
                    $0.silence = .seconds(2 * factor)
                    $0.patience = .seconds(factor)
                }
                let failure = try #require(await Self.failure(of: backend))
                #expect(failure.message.contains("does not respond") && !failure.isFinal, "\(failure)")
            }
        }
        #expect(isSilent.value)
    }

    @Test func `the bot answers and sends pings, and sends spaces as keep-alive`() async throws {
        let isOver = Locked(false)
        let conversation: ScriptedServer.Script = { conversation in
            try await conversation.login()
            try await conversation.say("<iq type='get' id='p1' from='localhost'><ping xmlns='\(XMPPNames.ping)'/></iq>")
            try await conversation.hear("id='p1' to='localhost' type='result'")
            // An error response shows that the server is alive, too.
            let question = try await conversation.hear("<ping xmlns='\(XMPPNames.ping)'/></iq>")
            let id = try #require(question.matches(of: /id='([^']+)' type='get'/).last?.1)
            try await conversation.say(
                "<iq type='error' id='\(id)'><error type='cancel'><service-unavailable "
                    + "xmlns='\(XMPPNames.stanzaErrors)'/></error></iq>")
            try await conversation.hear(" ")
            isOver.withLock { $0 = true }
        }
        // A machine that stands still may exceed the first times during the login.
        for silence in [3, 30, 100] where !isOver.value {
            let script: ScriptedServer.Script = {
                // Only the last failure counts.
                do { try await conversation(&$0) } catch  where silence < 100 {}
            }
            try await ScriptedServer.run([script]) { server in
                let backend = try server.backend {
                    $0.silence = .seconds(silence)
                    $0.keepAlive = .milliseconds(20)
                }
                // The error depends on how the bot notices the end of the script.
                await #expect(throws: (any Error).self) { try await backend.run { _ in } }
            }
        }
        #expect(isOver.value)
    }

    @Test(
        arguments: [
            (
                "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]><message>&b;</message>",
                "not-well-formed"
            ),
            ("<message><body>&lol;</body></message>", "not-well-formed"),
            ("<message><!-- hello --></message>", "restricted-xml"),
            ("<?php ?>", "restricted-xml"),
            ("<message><body>a</message>", "not-well-formed"),
            ("<message><body>" + String(repeating: "x", count: 3 << 20), "policy-violation"),
        ])
    func `malicious XML fails the stream with a stream error`(_ text: String, _ condition: String) async throws {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login()
            try await conversation.say(text)
            #expect(try await conversation.end().contains("<stream:error><\(condition) "))
        }
        try await ScriptedServer.run([script]) { server in
            let failure = try #require(await Self.failure(of: try server.backend()))
            #expect(failure.message.contains("cannot parse"), "\(failure)")
            #expect(!failure.isFinal)
        }
    }

    @Test func `oversized stanzas of other users do not fail the stream`() async throws {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login()
            let from = "type='chat' from='eve@localhost/e'"
            let deep = String(repeating: "<a>", count: 1_000) + String(repeating: "</a>", count: 1_000)
            let wide = (0..<100).map { "a\($0)='x'" }.joined(separator: " ")
            let long = String(repeating: "'", count: 60_000)
            try await conversation.say("<message \(from)><body>!say a</body>\(deep)</message>")
            try await conversation.say("<message \(from)><body \(wide)>!say b</body></message>")
            try await conversation.say("<iq type='get' id=\"\(long)\" from='eve@localhost/e'><a xmlns='b'/></iq>")
            try await conversation.say("<message \(from)><thread>\(long)</thread><body>!say c</body></message>")
            let said = try await conversation.hear("<body>c</body>")
            #expect(said.utf8.count < XMPPLink.usualBytes)
        }
        try await ScriptedServer.run([script]) { server in
            let backend = try server.backend(ScriptedServer.shortPatience)
            await #expect(throws: (any Error).self) {
                try await backend.run { message in
                    let reply = Reply(String(message.text.dropFirst(5)))
                    let place = Address(backend: "xmpp", place: .direct(message.sender.id), thread: message.thread)
                    _ = try? await backend.send(reply, to: place)
                }
            }
        }
    }

    @Test func `invalid UTF-8 fails the stream with a stream error`() async throws {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login()
            try await conversation.say(bytes: Array("<message><body>".utf8) + [0xC3, 0x28, 0xFF])
            #expect(try await conversation.end().contains("<stream:error><not-well-formed "))
        }
        try await ScriptedServer.run([script]) { server in
            let failure = await Self.failure(of: try server.backend())
            #expect(failure?.message.contains("cannot parse") == true)
        }
    }

    @Test func `the bot closes the stream on shutdown`() async throws {
        let isIn = Signal()
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login()
            isIn.open()
            #expect(try await conversation.end().hasSuffix("</stream:stream>"))
        }
        try await ScriptedServer.run([script]) { server in
            let backend = try server.backend()
            let running = Task { try await backend.run { _ in } }
            await isIn.wait()
            running.cancel()
            await #expect(throws: (any Error).self) { try await running.value }
        }
    }

    @Test func `ten thousand stanzas in a burst are each processed once, in order`() async throws {
        let count = 10_000
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login()
            for number in 0..<count {
                try await conversation.say(
                    "<message type='chat' from='alice@localhost/a' to='petrel@localhost/r1' id='m\(number)'>"
                        + "<body>!say \(number)</body></message>")
            }
            try await conversation.say("</stream:stream>")
        }
        try await ScriptedServer.run([script]) { server in
            let taken = Locked<[String]>([])
            await #expect(throws: BackendFailure.self) {
                try await server.backend().run { message in taken.withLock { $0.append(message.text) } }
            }
            #expect(taken.value == (0..<count).map { "!say \($0)" })
        }
    }

    @Test func `a shutdown does not wait for the verification of rooms`() async throws {
        let names = (1...3).map { "r\($0)@conference.localhost" }
        let isAsked = Signal()
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login()
            for name in names {
                try await conversation.hear("to='\(name)/petrel'")
                try await conversation.say(
                    "<presence from='\(name)/petrel'><x xmlns='\(XMPPNames.mucUser)'><status code='110'/></x></presence>"
                )
            }
            try await conversation.hear("/petrel' type='get'")
            isAsked.open()
            #expect(try await !conversation.end().contains("/petrel' type='get'"))
        }
        try await ScriptedServer.run([script]) { server in
            let backend = try server.backend { settings in
                settings.verifying = .milliseconds(100)
                // Longer than the time limit of the test.
                settings.patience = .seconds(3_600)
                settings.rooms = try names.map {
                    XMPPSettings.RoomSettings(jid: try #require(JID($0)), password: nil)
                }
            }
            let running = Task { try await backend.run { _ in } }
            await isAsked.wait()
            let start = ContinuousClock.now
            running.cancel()
            await #expect(throws: (any Error).self) { try await running.value }
            #expect(start.duration(to: .now) < .seconds(120))
        }
    }
}
