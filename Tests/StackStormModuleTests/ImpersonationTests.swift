import FaultSuite
import Foundation
import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormSimulator
import Testing

@testable import StackStormModule

/// Users act with their own accounts without a login, if the bot's account is a service of StackStorm.
@Suite(.timeLimit(.minutes(30))) struct ImpersonationTests {
    private static let page = URL(string: "https://petrel.example.com/")

    private static func run(
        _ impersonation: Impersonation, page: URL? = nil, isService: Bool = true, store: TestStore? = nil,
        logins: (any LoginDesk)? = nil,
        now: @Sendable @escaping () -> Date = { .now }, _ body: @Sendable @escaping (Bench) async throws -> Void
    ) async throws {
        var options = Bench.Options(store: store, logins: logins, now: now)
        options.module = { $0.access = .impersonate(impersonation, page: page) }
        options.prepare = { stackStorm in
            if isService { await stackStorm.makeService("petrel") }
            await stackStorm.nickname("bob", "@robert", of: "test")
        }
        try await Bench.run(options, body)
    }

    private static let map = Impersonation(users: ["test/@alice": "alice"])

    @Test func `the map has precedence over the nickname, and an unknown user runs nothing`() async throws {
        var both = Self.map
        both.usesNicknames = true
        try await Self.run(both) { bench in
            for (person, user) in [("@alice", "alice"), ("@robert", "bob")] {
                bench.backend.type("!st2 echo x", as: person)
                #expect(await bench.text().hasPrefix("core.echo started"))
                #expect(await bench.text().contains("stdout : x"))
                #expect(await bench.stackStorm.asker(of: "POST /api/v1/aliasexecution") == user)
            }
            let count = await bench.stackStorm.request(count: "POST /api/v1/aliasexecution")
            bench.backend.type("!st2 echo x", as: "@mallory")
            let text = await bench.text()
            #expect(text.hasPrefix("StackStorm has no user with your nickname, and nothing was started."), "\(text)")
            #expect(text.contains("@mallory of test"))
            bench.backend.type("!st2help", as: "@mallory")
            #expect(await bench.text().hasPrefix("StackStorm has no user with your nickname"))
            #expect(await bench.stackStorm.request(count: "POST /api/v1/aliasexecution") == count)
        }
    }

    @Test func `users have their own permissions`() async throws {
        try await Self.run(Impersonation(users: ["test/@bob": "bob", "test/@alice": "alice"])) { bench in
            bench.backend.type("!st2 restart nginx on web1", as: "@bob")
            #expect(await bench.text().contains(#"User "bob" doesn't have required permission"#))
            bench.backend.type("!st2 restart nginx on web1", as: "@alice")
            #expect(await bench.text().hasPrefix("Restarting nginx."))
        }
    }

    @Test func `without nicknames only the map is used, and compared by bytes`() async throws {
        // “é” as one scalar and as two are different IDs.
        let map = Impersonation(users: ["test/@ren\u{E9}": "alice"])
        try await Self.run(map) { bench in
            for person in ["@mallory", "@ALICE", "@rene\u{301}", "@alice/x", ""] {
                bench.backend.type("!st2 echo x", as: person)
                let text = await bench.text()
                #expect(text.hasPrefix("No StackStorm user is assigned to you, and nothing was started:"))
                #expect(text.contains("rbac_auth.impersonate.users"))
            }
            #expect(await bench.stackStorm.request(count: "POST /api/v1/aliasexecution") == 0)
        }
    }

    @Test func `an unstable identity has no StackStorm user`() async throws {
        try await Self.run(Self.map) { bench in
            let guest = Person(id: "@alice", name: "@alice", isStable: false)
            bench.host.host.receive(ChatMessage(id: "g", sender: guest, text: "!st2 echo x"), from: "test")
            #expect(await bench.text().hasPrefix("Your name here is not bound to an account"))
        }
    }

    @Test func `a bot account that is not a service is reported, and runs no commands itself`() async throws {
        try await Self.run(Self.map, isService: false) { bench in
            bench.backend.type("!st2 echo x", as: "@alice")
            let text = await bench.text()
            #expect(text.contains("is not a service") && text.contains("check rbac_auth"), "\(text)")
            #expect(await bench.stackStorm.request(count: "POST /api/v1/aliasexecution") == 0)
        }
    }

    @Test func `each user has one token until it expires, and a revoked one is replaced`() async throws {
        let clock = Locked(Date.now)
        try await Self.run(Self.map, now: { clock.value }) { bench in
            func run() async throws {
                bench.backend.type("!st2 echo x", as: "@alice")
                #expect(await bench.text().hasPrefix("core.echo started"))
                #expect(await bench.text().contains("stdout : x"))
            }
            func tokens() async -> Int { await bench.stackStorm.request(count: "POST /auth/v1/tokens") }
            try await run()
            let count = await tokens()
            try await run()
            #expect(await tokens() == count)
            await bench.stackStorm.expireTokens()
            try await run()
            // The token of the user, and that of the bot, which reads the results.
            let renewed = await tokens()
            #expect(renewed > count)
            clock.withLock { $0 += 86_400 }
            try await run()
            // The bot may have renewed its own meanwhile.
            #expect((renewed + 1...renewed + 2).contains(await tokens()))
        }
    }

    @Test func `forty concurrent commands request one token`() async throws {
        try await Self.run(Self.map) { bench in
            let count = await bench.stackStorm.request(count: "POST /auth/v1/tokens")
            for number in 0..<40 { bench.backend.type("!st2 echo \(number)", as: "@alice") }
            for _ in 0..<80 { _ = await bench.text() }
            #expect(await bench.stackStorm.request(count: "POST /auth/v1/tokens") <= count + 2)
        }
    }

    @Test func `tokens survive a restart encrypted, and are dropped if the map changes`() async throws {
        let store = try TestStore()
        let stackStorm = SimulatedStackStorm()
        await stackStorm.makeService("petrel")
        try await Bench.withSimulator(stackStorm) { _, port in
            for (user, isNew) in [("alice", true), ("alice", false), ("bob", true)] {
                var settings = StackStormModuleSettings(client: try Bench.client(port: port))
                settings.access = .impersonate(Impersonation(users: ["test/@alice": user]), page: nil)
                let backend = RecordingBackend()
                let host = try TestHost([backend], store: store)
                let module = try host.module(settings)
                try await host.run([module]) {
                    let count = await stackStorm.request(count: "POST /auth/v1/tokens")
                    backend.type("!st2 echo x")
                    #expect(await backend.next()?.reply.text.hasPrefix("core.echo started") == true)
                    _ = await backend.next()
                    #expect(await stackStorm.asker(of: "POST /api/v1/aliasexecution") == user)
                    #expect(await stackStorm.request(count: "POST /auth/v1/tokens") == count + (isNew ? 1 : 0))
                }
            }
        }
    }

    @Test func `a login has precedence, and its end is reported before a command runs as another user`() async throws {
        let clock = Locked(Date.now)
        let desk = TestDesk()
        try await Self.run(Self.map, page: Self.page, logins: desk, now: { clock.value }) { bench in
            bench.backend.type("!st2session_start tulip-garden", as: "@alice", in: nil)
            _ = await bench.backend.next()
            _ = try await desk.enter(.password(name: "bob", password: Secret("demo")))
            #expect(await bench.text().hasPrefix("You are logged in to StackStorm as bob"))
            bench.backend.type("!st2 echo x", as: "@alice")
            #expect(await bench.text().hasPrefix("core.echo started"))
            _ = await bench.text()
            #expect(await bench.stackStorm.asker(of: "POST /api/v1/aliasexecution") == "bob")
            clock.withLock { $0 += 7_200 }
            bench.backend.type("!st2 echo x", as: "@alice")
            #expect(await bench.text().hasPrefix("Your login to StackStorm has ended, and nothing was started."))
            bench.backend.type("!st2 echo x", as: "@alice")
            #expect(await bench.text().hasPrefix("core.echo started"))
            _ = await bench.text()
            #expect(await bench.stackStorm.asker(of: "POST /api/v1/aliasexecution") == "alice")
            bench.backend.type("!st2 echo x", as: "@mallory")
            #expect(await bench.text().contains("Write `!st2session_start WORD`"))
            bench.backend.type("!st2session_start tulip-garden", as: "@alice", in: nil)
            _ = await bench.backend.next()
            _ = try await desk.enter(.password(name: "bob", password: Secret("demo")))
            _ = await bench.text()
            bench.backend.type("!st2session_end", as: "@alice")
            #expect(
                await bench.text().contains(
                    "Your commands now run as the StackStorm user that is assigned to your chat account."))
        }
    }

    @Test func `a StackStorm that ignores the user name gives no user the bot's permissions`() async throws {
        try await Bench.withSimulator { stackStorm, port in
            await stackStorm.makeService("petrel")
            await stackStorm.nickname("petrel", "U7", of: "slack")
            let client = try Bench.client(port: port)
            let asking = try StackStormClient(client, logger: Bench.logger)
            await #expect { try await asking.impersonate(.nickname("U7", origin: "slack")) } throws: {
                ($0 as? StackStormError)?.setting == "rbac_auth"
            }
            await #expect { try await asking.impersonate(.nickname("U9", origin: "slack")) } throws: {
                ($0 as? StackStormError)?.code == .notFound
            }
            await #expect(throws: StackStormError.self) { try await asking.impersonate(.user("petrel")) }
            #expect(try await asking.impersonate(.user("alice")).user == "alice")
        }
    }
}
