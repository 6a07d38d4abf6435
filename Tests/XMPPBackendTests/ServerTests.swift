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

/// Petrel with a real server, a simulated StackStorm, and people with another client.
@Suite(.timeLimit(.minutes(30))) struct ServerTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private struct Fixture: Sendable {
        let server: XMPPServer
        let stackStorm: SimulatedStackStorm
        let desk: TestDesk
        let backend: XMPPBackend
    }

    private static func run(
        _ kind: XMPPServer.Kind, page: URL? = nil, policy: Dispatcher.Policy = Dispatcher.Policy(),
        change: @Sendable (inout XMPPSettings) -> Void = { _ in },
        _ body: @Sendable @escaping (Fixture) async throws -> Void
    ) async throws {
        try await XMPPServer.run(kind) { server in
            var chat = try server.settings()
            change(&chat)
            let backend = server.backend(chat)
            try await SimulatedHouse.run(page: page) { simulated in
                let fixture = Fixture(
                    server: server, stackStorm: simulated.stackStorm, desk: simulated.desk, backend: backend)
                try await TestHost.unhurried(backend, policy, logger: logger).run({ [try simulated.module($0)] }) {
                    await fixture.stackStorm.untilHeard()
                    try await body(fixture)
                }
            }
        }
    }

    @Test(arguments: XMPPServer.Kind.tested)
    func `help and commands work in rooms and in direct chats`(_ kind: XMPPServer.Kind) async throws {
        try await Self.run(kind) { fixture in
            let alice = try await fixture.server.person("alice")
            try await alice.saw("petrel")
            try alice.say("!st2help fleet")
            #expect(try await alice.heard()["text"]?.string?.contains("restart") == true)
            try alice.say("!st2 restart nginx on web1", ["thread": "t1"])
            let started = try await alice.heard("Restarting nginx.")
            #expect(started["kind"] == "groupchat" && started["thread"] == "t1")
            #expect(try await alice.heard("nginx restarted on 1 host.")["thread"] == "t1")
            // The room shows accounts, so StackStorm receives the account.
            let execution = try #require(await fixture.stackStorm.lastExecution(of: "fleet.restart"))
            #expect(execution["context"]?["api_user"] == "alice@localhost")
            #expect(execution["context"]?["source_channel"] == "ops@conference.localhost")
            try alice.say("!st2 echo in private", to: "petrel@localhost")
            #expect(try await alice.heard("stdout : in private")["kind"] == "chat")
        }
    }
}

extension ServerTests {
    @Test(arguments: XMPPServer.Kind.tested)
    func `denials and whispers go to one person only`(_ kind: XMPPServer.Kind) async throws {
        var limits = AccessLimits()
        limits.users.deny = GlobList(["bob@localhost"])
        let rule = AccessRule(index: 0, command: "st2*", modules: [], limits: limits)
        try await Self.run(kind, policy: Dispatcher.Policy(access: AccessControl(rules: [rule]))) { fixture in
            let alice = try await fixture.server.person("alice")
            let bob = try await fixture.server.person("bob")
            try await bob.saw("petrel")
            try bob.say("!st2 echo hello")
            let denial = try await bob.heard("You may not run this")
            // To the account, which the room shows, because the nick may belong to another person now.
            #expect(denial["kind"] == "chat" && denial["from"]?.string?.hasPrefix("petrel@localhost/") == true)
            await fixture.stackStorm.publish(
                payload: [
                    "user": "alice@localhost", "channel": "ops@conference.localhost", "whisper": true,
                    "message": "only for you",
                ], route: "errbot")
            let whisper = try await alice.heard("only for you")
            #expect(whisper["kind"] == "chat")
            // The room did not receive the whisper.
            try alice.say("!st2 echo end")
            let heard = try await alice.heard("stdout : end")
            #expect(heard["kind"] == "groupchat")
        }
    }

    @Test(arguments: XMPPServer.Kind.tested)
    func `a thread ID that contains a template is returned and never sent to StackStorm`(_ kind: XMPPServer.Kind)
        async throws
    {
        try await Self.run(kind) { fixture in
            let alice = try await fixture.server.person("alice")
            try await alice.saw("petrel")
            let thread = "{{ st2kv.system.petrel_secret }}"
            try alice.say("!st2 echo one", ["thread": .string(thread)])
            #expect(try await alice.heard("core.echo started")["thread"]?.string == thread)
            let result = try await alice.heard("stdout : one")
            #expect(result["thread"]?.string == thread)
            #expect(result["xml"]?.string?.contains("TOP-SECRET") == false)
            let sent = String(decoding: await fixture.stackStorm.body(of: "POST /api/v1/aliasexecution"), as: UTF8.self)
            #expect(sent.contains("echo one") && !sent.contains("st2kv"), "\(sent)")
        }
    }

    @Test(arguments: XMPPServer.Kind.tested)
    func `a message of 230 kB is rejected while others are answered`(_ kind: XMPPServer.Kind) async throws {
        try await Self.run(kind) { fixture in
            let alice = try await fixture.server.person("alice")
            let bob = try await fixture.server.person("bob")
            try await alice.saw("petrel")
            try await bob.saw("petrel")
            let line = "!st2 echo " + String(repeating: "a=b ", count: 57_000)
            try alice.say(line, to: "petrel@localhost")
            for number in 1...20 {
                try bob.say("!st2 nothing \(number)", to: "petrel@localhost")
                #expect(try await bob.heard("nothing \(number)")["kind"] == "chat")
            }
            _ = try await alice.heard("This line is too long")
            #expect(await fixture.stackStorm.request(count: "POST /api/v1/aliasexecution") == 0)
        }
    }

    @Test(arguments: XMPPServer.Kind.tested)
    func `people log in with a link from a direct chat`(_ kind: XMPPServer.Kind) async throws {
        let page = try #require(URL(string: "https://petrel.example.com/"))
        try await Self.run(kind, page: page) { fixture in
            let alice = try await fixture.server.person("alice")
            // Messages sent before the bot is online are delayed and ignored.
            try await alice.saw("petrel")
            try alice.say("!st2session_start tulip-garden", to: "petrel@localhost")
            let link = try await alice.heard("https://petrel.example.com/#link-")
            #expect(link["xml"]?.string?.contains("no-store") == true)
            try await fixture.desk.enter(.password(name: "alice", password: Secret("demo")))
            _ = try await alice.heard("logged in")
        }
    }

    @Test(arguments: XMPPServer.Kind.tested)
    func `the bot takes another nick if its own is in use, and rejoins after a kick`(_ kind: XMPPServer.Kind)
        async throws
    {
        try await XMPPServer.run(kind) { server in
            // The first occupant owns the room.
            let alice = try await server.person("alice")
            let other = try await server.person("bob", nick: "petrel")
            let backend = server.backend(try server.settings())
            try await TestHost.unhurried(backend).run([Say()]) {
                try await alice.saw("petrel_")
                try other.say("I am not the bot")
                #expect(try await alice.heard("not the bot")["from"] == "ops@conference.localhost/petrel")
                try alice.order("kick", ["nick": "petrel_"])
                // The configured nick is still in use.
                try await alice.saw("petrel_")
                try alice.say("!say back")
                #expect(try await alice.heard("back")["from"] == "ops@conference.localhost/petrel_")
            }
        }
    }

    @Test(arguments: XMPPServer.Kind.tested)
    func `a result is delivered after the server restarts`(_ kind: XMPPServer.Kind) async throws {
        try await Self.run(kind) { fixture in
            let alice = try await fixture.server.person("alice")
            try await alice.saw("petrel")
            try alice.say("!st2 deploy shop", to: "petrel@localhost")
            _ = try await alice.heard("fleet.deploy started")
            let question = try await alice.heard("waits for an answer")["text"]?.string ?? ""
            let id = try #require(question.firstMatch(of: /inquiry answer (\w+) approved/)?.1)
            await fixture.server.stop(SIGKILL)
            // The result arrives while the server is down.
            await fixture.stackStorm.settle(String(id), ["approved": true])
            try await fixture.server.start()
            // The server stores the message until alice is online.
            let again = try await fixture.server.person("alice", in: nil)
            _ = try await again.heard("is deployed")
        }
    }
}
