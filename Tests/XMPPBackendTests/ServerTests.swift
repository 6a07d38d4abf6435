import FaultSuite
import Foundation
import Logging
import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormModule
import StackStormSimulator
import Testing

@testable import XMPPBackend

/// People with another client, a real server, Petrel, and a StackStorm.
@Suite(.timeLimit(.minutes(10))) struct ServerTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private struct House: Sendable {
        let server: XMPPServer
        let stackStorm: SimulatedStackStorm
        let desk: TestDesk
        let backend: XMPPBackend
    }

    private static func run(
        _ kind: XMPPServer.Kind, page: URL? = nil, policy: Dispatcher.Policy = Dispatcher.Policy(),
        change: @Sendable (inout XMPPSettings) -> Void = { _ in },
        _ body: @Sendable @escaping (House) async throws -> Void
    ) async throws {
        try await XMPPServer.run(kind) { server in
            var chat = try server.settings()
            change(&chat)
            let backend = server.backend(chat)
            try await SimulatedHouse.run(page: page) { simulated in
                let house = House(
                    server: server, stackStorm: simulated.stackStorm, desk: simulated.desk, backend: backend)
                try await TestHost.unhurried(backend, policy, logger: logger).run({ [try simulated.module($0)] }) {
                    await house.stackStorm.untilHeard()
                    try await body(house)
                }
            }
        }
    }

    @Test(arguments: XMPPServer.Kind.tested)
    func `help, a command in a room with its result there, and one to one`(_ kind: XMPPServer.Kind) async throws {
        try await Self.run(kind) { house in
            let alice = try await house.server.person("alice")
            try await alice.saw("petrel")
            try alice.say("!st2help fleet")
            #expect(try await alice.heard()["text"]?.string?.contains("restart") == true)
            try alice.say("!st2 restart nginx on web1", ["thread": "t1"])
            let started = try await alice.heard("Restarting nginx.")
            #expect(started["kind"] == "groupchat" && started["thread"] == "t1")
            #expect(try await alice.heard("nginx restarted on 1 hosts.")["thread"] == "t1")
            // The room shows accounts, so that StackStorm gets the account.
            let execution = try #require(await house.stackStorm.lastExecution(of: "fleet.restart"))
            #expect(execution["context"]?["api_user"] == "alice@localhost")
            #expect(execution["context"]?["source_channel"] == "ops@conference.localhost")
            try alice.say("!st2 echo in private", to: "petrel@localhost")
            #expect(try await alice.heard("stdout : in private")["kind"] == "chat")
        }
    }
}

extension ServerTests {
    @Test(arguments: XMPPServer.Kind.tested)
    func `a refusal and a whisper are for one person`(_ kind: XMPPServer.Kind) async throws {
        var limits = AccessLimits()
        limits.users.deny = GlobList(["bob@localhost"])
        let rule = AccessRule(index: 0, command: "st2*", modules: [], limits: limits)
        try await Self.run(kind, policy: Dispatcher.Policy(access: AccessControl(rules: [rule]))) { house in
            let alice = try await house.server.person("alice")
            let bob = try await house.server.person("bob")
            try await bob.saw("petrel")
            try bob.say("!st2 echo hello")
            let denial = try await bob.heard("You may not run this")
            // To the account, which the room shows: a nick may be somebody else's by now.
            #expect(denial["kind"] == "chat" && denial["from"]?.string?.hasPrefix("petrel@localhost/") == true)
            await house.stackStorm.publish(
                payload: [
                    "user": "alice@localhost", "channel": "ops@conference.localhost", "whisper": true,
                    "message": "only for you",
                ], route: "errbot")
            let whisper = try await alice.heard("only for you")
            #expect(whisper["kind"] == "chat")
            // And nothing of it was said in the room.
            try alice.say("!st2 echo end")
            let heard = try await alice.heard("stdout : end")
            #expect(heard["kind"] == "groupchat")
        }
    }

    @Test(arguments: XMPPServer.Kind.tested)
    func `a thread that holds a template comes back, and StackStorm never sees it`(_ kind: XMPPServer.Kind) async throws
    {
        try await Self.run(kind) { house in
            let alice = try await house.server.person("alice")
            try await alice.saw("petrel")
            let thread = "{{ st2kv.system.petrel_secret }}"
            try alice.say("!st2 echo one", ["thread": .string(thread)])
            #expect(try await alice.heard("core.echo started")["thread"]?.string == thread)
            let result = try await alice.heard("stdout : one")
            #expect(result["thread"]?.string == thread)
            #expect(result["xml"]?.string?.contains("TOP-SECRET") == false)
            let sent = String(decoding: await house.stackStorm.body(of: "POST /api/v1/aliasexecution"), as: UTF8.self)
            #expect(sent.contains("echo one") && !sent.contains("st2kv"), "\(sent)")
        }
    }

    @Test(arguments: XMPPServer.Kind.tested)
    func `a stanza of 230 kB is refused, and others are answered beside it`(_ kind: XMPPServer.Kind) async throws {
        try await Self.run(kind) { house in
            let alice = try await house.server.person("alice")
            let bob = try await house.server.person("bob")
            try await alice.saw("petrel")
            try await bob.saw("petrel")
            let line = "!st2 echo " + String(repeating: "a=b ", count: 57_000)
            try alice.say(line, to: "petrel@localhost")
            for number in 1...20 {
                try bob.say("!st2 nothing \(number)", to: "petrel@localhost")
                #expect(try await bob.heard("nothing \(number)")["kind"] == "chat")
            }
            _ = try await alice.heard("This line is too long")
            #expect(await house.stackStorm.request(count: "POST /api/v1/aliasexecution") == 0)
        }
    }

    @Test(arguments: XMPPServer.Kind.tested)
    func `people log in by a link that comes one to one`(_ kind: XMPPServer.Kind) async throws {
        let page = try #require(URL(string: "https://petrel.example.com/"))
        try await Self.run(kind, page: page) { house in
            let alice = try await house.server.person("alice")
            // What was said before the bot is there comes delayed, and is left out.
            try await alice.saw("petrel")
            try alice.say("!st2session_start tulip-garden", to: "petrel@localhost")
            let link = try await alice.heard("https://petrel.example.com/#link-")
            #expect(link["xml"]?.string?.contains("no-store") == true)
            try await house.desk.enter(.password(name: "alice", password: Secret("demo")))
            _ = try await alice.heard("logged in")
        }
    }

    @Test(arguments: XMPPServer.Kind.tested)
    func `another nick where ours is taken, and back after a kick`(_ kind: XMPPServer.Kind) async throws {
        try await XMPPServer.run(kind) { server in
            // Who comes first owns the room.
            let alice = try await server.person("alice")
            let other = try await server.person("bob", nick: "petrel")
            let backend = server.backend(try server.settings())
            try await TestHost.unhurried(backend).run([Say()]) {
                try await alice.saw("petrel_")
                try other.say("I am not the bot")
                #expect(try await alice.heard("not the bot")["from"] == "ops@conference.localhost/petrel")
                try alice.order("kick", ["nick": "petrel_"])
                // Its own nick is still somebody else's.
                try await alice.saw("petrel_")
                try alice.say("!say back")
                #expect(try await alice.heard("back")["from"] == "ops@conference.localhost/petrel_")
            }
        }
    }

    @Test(arguments: XMPPServer.Kind.tested)
    func `what was asked is answered once the server is back`(_ kind: XMPPServer.Kind) async throws {
        try await Self.run(kind) { house in
            let alice = try await house.server.person("alice")
            try await alice.saw("petrel")
            try alice.say("!st2 deploy shop", to: "petrel@localhost")
            _ = try await alice.heard("fleet.deploy started")
            let question = try await alice.heard("waits for an answer")["text"]?.string ?? ""
            let id = try #require(question.firstMatch(of: /inquiry answer (\w+) approved/)?.1)
            await house.server.stop(SIGKILL)
            // The result comes while nobody can be told.
            await house.stackStorm.settle(String(id), ["approved": true])
            try await house.server.start()
            // Whoever is not there gets it from the server, once they are.
            let again = try await house.server.person("alice", in: nil)
            _ = try await again.heard("is deployed")
        }
    }
}
