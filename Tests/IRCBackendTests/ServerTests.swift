import FaultSuite
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormSimulator
import Testing

@testable import IRCBackend

/// Petrel with ngIRCd, and people with another client.
@Suite(.timeLimit(.minutes(30))) struct ServerTests {
    private static func run(
        _ settings: @Sendable (IRCServer) -> IRCSettings = { $0.settings() }, password: String? = nil,
        _ body: @Sendable @escaping (IRCServer) async throws -> Void
    ) async throws {
        try await IRCServer.run(password: password) { server in
            let backend = makeBackend(settings(server))
            try await TestHost.unhurried(backend).run([Say()]) { try await body(server) }
        }
    }

    @Test func `commands work over TLS in channels and in private messages`() async throws {
        try await Self.run({ $0.settings(channels: ["#ops", "#dev"]) }) { server in
            let alice = try await server.person("alice")
            try await alice.saw("petrel")
            try await alice.say("!say hello")
            #expect(try await alice.heard("hello")[0] == "#ops")
            try await alice.say("petrel: who")
            let who = try await alice.heard("false #ops")
            #expect(who[1]?.hasPrefix("alice!") == true)
            try await alice.say("!say in private", to: "petrel")
            #expect(try await alice.heard("in private")[0] == "alice")
            try await alice.say("!whisper psst")
            #expect(try await alice.heard("psst")[0] == "alice")
            try await alice.join("#dev")
            try await alice.saw("petrel", in: "#dev")
            try await alice.say("!say there", to: "#dev")
            #expect(try await alice.heard("there")[0] == "#dev")
            try await alice.send("PRIVMSG petrel :\u{1}VERSION\u{1}")
            #expect(try await alice.told("NOTICE") { $0[0] == "alice" }[1] == "\u{1}VERSION Petrel 1.2.3\u{1}")
        }
    }

    @Test func `long replies arrive complete, and no character is cut`() async throws {
        try await Self.run { server in
            let alice = try await server.person("alice")
            try await alice.saw("petrel")
            try await alice.say("!long")
            var text = ""
            while text.unicodeScalars.count < 1_000 { text += try await alice.heard()[1] ?? "" }
            #expect(text.utf8.elementsEqual(String(repeating: "e\u{301}", count: 500).utf8))
        }
    }

    @Test func `a channel with a key and a server with a password are entered`() async throws {
        try await Self.run(
            { server in
                var settings = server.settings(channels: [])
                settings.channels = [IRCSettings.Channel(name: "#locked", key: Secret("open"))]
                settings.password = Secret("word")
                settings.port = server.port
                settings.isEncrypted = false
                return settings
            }, password: "word"
        ) { server in
            let alice = try await IRCPerson.connect("alice", port: server.port, channel: nil, password: "word")
            try await alice.join("#locked", key: "open")
            try await alice.saw("petrel", in: "#locked")
        }
    }

    @Test func `a wrong password is final`() async throws {
        try await IRCServer.run(password: "word") { server in
            var settings = server.settings()
            settings.password = Secret("wrong")
            let backend = makeBackend(settings)
            let failure = await #expect(throws: BackendFailure.self) { try await backend.run { _ in } }
            #expect(failure?.isFinal == true)
        }
    }

    @Test func `the bot takes its nick when the other user leaves it`() async throws {
        try await IRCServer.run { server in
            let other = try await server.person("petrel")
            try await TestHost.unhurried(makeBackend(server.settings())).run([Say()]) {
                let alice = try await server.person("alice")
                try await alice.saw("petrel_")
                try await alice.say("petrel: say one")
                _ = try await alice.heard("one", from: "petrel_")
                try await other.quit()
                _ = try await alice.told("NICK") { $0[0] == "petrel" }
                try await alice.say("!say two")
                _ = try await alice.heard("two")
            }
        }
    }

    @Test func `the bot joins again after a kick`() async throws {
        try await Self.run { server in
            let op = try await server.person("op")
            try await op.send("OPER op secret")
            _ = try await op.told("381")
            try await op.saw("petrel")
            try await op.send("MODE #ops +o op", "KICK #ops petrel :out")
            _ = try await op.told("KICK")
            // Not the next JOIN, which may be that of the start.
            try await op.saw("petrel")
            try await op.say("!say back")
            _ = try await op.heard("back")
        }
    }

    @Test func `the server tells which channels are private, also when that changes`() async throws {
        try await IRCServer.run { server in
            let host = try TestHost.unhurried(makeBackend(server.settings()))
            try await host.run([Say()]) {
                let op = try await server.person("op")
                try await op.send("OPER op secret")
                _ = try await op.told("381")
                try await op.saw("petrel")
                func change(_ modes: String) async throws {
                    try await op.send("MODE #ops \(modes)")
                    _ = try await op.told("MODE") { $0[0] == "#ops" && $0[1] == modes.words[0] }
                }
                // The server says nothing if the person is an operator of the channel already.
                try await op.send("MODE #ops +o op")
                var number = 0
                func isPrivate() async throws -> Bool? {
                    number += 1
                    try await op.say("!say line \(number)")
                    _ = try await op.heard("line \(number)")
                    return host.audit.all.last?.isPrivateRoom
                }
                while try await isPrivate() != false {}
                // ngIRCd has no mode p.
                for (on, off) in [("+s", "-s"), ("+i", "-i"), ("+k key", "-k key")] {
                    try await change(on)
                    #expect(try await isPrivate() == true, "\(on)")
                    try await change(off)
                    #expect(try await isPrivate() == false, "\(off)")
                }
            }
        }
    }

    @Test func `a later owner of a nick gets no private reply of the earlier one`() async throws {
        try await IRCServer.run { server in
            let backend = makeBackend(server.settings())
            try await TestHost.unhurried(backend).run([Say()]) {
                let alice = try await server.person("alice")
                try await alice.saw("petrel")
                try await alice.say("!who")
                let id = try #require(try await alice.heard("false #ops")[1]?.words.first)
                try await alice.quit()
                let other = try await server.person("alice")
                try await other.say("!who")
                let otherID = try #require(try await other.heard("false #ops")[1]?.words.first)
                #expect(otherID != id)
                let failure = await #expect(throws: SendFailure.self) {
                    try await backend.send(Reply("x"), to: Address(backend: "irc", place: .direct(id)))
                }
                #expect(failure?.remedy == .never)
                _ = try await backend.send(Reply("mine"), to: Address(backend: "irc", place: .direct(otherID)))
                _ = try await other.heard("mine")
            }
        }
    }

    @Test func `the bot connects again after the server was killed, and sends what waited`() async throws {
        try await Self.run { server in
            let alice = try await server.person("alice")
            try await alice.saw("petrel")
            await server.stop()
            _ = try await alice.lost()
            try await server.start()
            let again = try await server.person("alice")
            try await again.saw("petrel")
            try await again.say("!say again")
            _ = try await again.heard("again")
        }
    }

    @Test func `others see at once that the bot stops`() async throws {
        try await IRCServer.run { server in
            let alice = try await server.person("alice")
            let backend = makeBackend(server.settings())
            let running = Task { try await backend.run { _ in } }
            try await alice.saw("petrel")
            running.cancel()
            await #expect(throws: CancellationError.self) { try await running.value }
            let quit = try await alice.told("QUIT") { $0.source?.nick == "petrel" }
            #expect(quit[0]?.contains("Petrel is stopping") == true)
        }
    }
}
