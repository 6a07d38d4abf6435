import FaultSuite
import Foundation
import Logging
import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormSimulator
import Testing

@testable import StackStormModule

@Suite(.timeLimit(.minutes(30))) struct AccountTests {
    private static let page = URL(string: "https://petrel.example.com/") ?? URL(fileURLWithPath: "/")
    private static let alice = LoginProof.password(name: "alice", password: Secret("demo"))
    private static let bob = LoginProof.password(name: "bob", password: Secret("demo"))

    private static func run(
        store: TestStore? = nil, now: @Sendable @escaping () -> Date = { .now },
        module adjust: @Sendable @escaping (inout StackStormModuleSettings) -> Void = { _ in },
        logger: Logger = Bench.logger,
        _ body: @Sendable @escaping (Bench, TestDesk) async throws -> Void
    ) async throws {
        let desk = TestDesk()
        var options = Bench.Options(store: store, logins: desk, now: now, logger: logger)
        options.policy.access = AccessControl(admins: ["@root"])
        options.module = {
            $0.access = .clientside(page)
            adjust(&$0)
        }
        try await Bench.run(options) { bench in try await body(bench, desk) }
    }

    /// Logs a user in, and removes the reply and the notification from the backend.
    private static func logIn(_ bench: Bench, _ desk: TestDesk, _ person: String = "@alice", _ proof: LoginProof)
        async throws
    {
        bench.backend.type("!st2session_start tulip-garden", as: person, in: nil)
        let link = try #require(await bench.backend.next())
        #expect(link.reply.isConfidential && link.reply.isPrivate)
        #expect(link.reply.text.contains("https://petrel.example.com/#link-"))
        guard case .proven = try await desk.enter(proof) else {
            Issue.record("the login of \(person) was refused")
            return
        }
        let told = try #require(await bench.backend.next())
        #expect(told.reply.text.hasPrefix("You are logged in to StackStorm as "))
        #expect(told.address.place == .direct(person))
    }

    @Test func `users act with their own accounts and permissions`() async throws {
        try await Self.run { bench, desk in
            bench.backend.type("!st2 restart nginx on web1")
            #expect(
                await bench.text().hasPrefix(
                    "You are not logged in to StackStorm. Write `!st2session_start WORD`"))
            try await Self.logIn(bench, desk, "@alice", Self.alice)
            try await Self.logIn(bench, desk, "@bob", Self.bob)
            bench.backend.type("!st2 restart nginx on web1", as: "@alice")
            #expect(await bench.text().hasPrefix("Restarting nginx."))
            #expect(await bench.text() == "nginx restarted on 1 host.")
            #expect(await bench.stackStorm.asker(of: "POST /api/v1/aliasexecution") == "alice")
            bench.backend.type("!st2 restart nginx on web1", as: "@bob")
            #expect(
                await bench.text()
                    == #"StackStorm denied access: User "bob" doesn't have required permission "action_execute" on resource "action:fleet:restart""#
            )
            #expect(await bench.stackStorm.asker(of: "POST /api/v1/aliasexecution") == "bob")
            bench.backend.type("!st2help", as: "@bob")
            #expect(await bench.text().contains("!st2 echo"))
            #expect(await bench.stackStorm.asker(of: "GET /api/v1/actionalias") == "bob")
            #expect(
                bench.host.audit.all.first { $0.name == "@alice" && !$0.executions.isEmpty }?.line
                    == "st2 restart nginx on web1")
        }
    }

    @Test func `tokens and API keys are accepted as credentials`() async throws {
        try await Self.run { bench, desk in
            await bench.stackStorm.addAPIKey("key-of-bob", for: "bob")
            try await Self.logIn(bench, desk, "@bob", .apiKey(Secret("key-of-bob")))
            let token = try await bench.client.prove(.password(name: "alice", password: Secret("demo"))).credential
                .value
            try await Self.logIn(bench, desk, "@alice", .token(token))
            for person in ["@alice", "@bob"] {
                bench.backend.type("!st2 echo x", as: person)
                #expect(await bench.text().hasPrefix("core.echo started"))
                #expect(await bench.text().contains("stdout : x"))
                #expect(await bench.stackStorm.asker(of: "POST /api/v1/aliasexecution") == String(person.dropFirst()))
            }
        }
    }

    @Test func `an invalid credential is refused, and one that cannot be checked is not`() async throws {
        try await Self.run { bench, desk in
            bench.backend.type("!st2session_start tulip-garden", as: "@alice", in: nil)
            _ = await bench.backend.next()
            for proof: LoginProof in [
                .password(name: "alice", password: Secret("wrong")),
                .password(name: "al:ice", password: Secret("demo")),
                .password(name: "", password: Secret("demo")), .token(Secret("nothing")), .apiKey(Secret("nothing")),
                .token(Secret("two\r\nX-Evil: lines")), .apiKey(Secret("a b")),
            ] {
                guard case .refused = try await desk.enter(proof) else {
                    Issue.record("\(proof) was not refused")
                    continue
                }
            }
            for fault: Fault in [.status(500), .html(502), .garbage, .cut] {
                await bench.stackStorm.setFault(fault, for: .tokens)
                guard case .undecided = try await desk.enter(Self.alice) else {
                    Issue.record("\(fault) was taken for an answer")
                    continue
                }
            }
            await bench.stackStorm.setFault(nil, for: .tokens)
            guard case .proven = try await desk.enter(Self.alice) else {
                Issue.record("the right password was refused")
                return
            }
        }
    }

    @Test func `an expired login is reported once with instructions, and then as missing`() async throws {
        let clock = Locked(Date.now)
        try await Self.run(now: { clock.value }, module: { $0.sessionTTL = 60 }) { bench, desk in
            try await Self.logIn(bench, desk, "@alice", Self.alice)
            clock.withLock { $0 += 59 }
            bench.backend.type("!st2help")
            #expect(await bench.text().contains("!st2 echo"))
            clock.withLock { $0 += 2 }
            bench.backend.type("!st2 echo x")
            #expect(
                await bench.text().hasPrefix(
                    "Your login to StackStorm has expired. Write `!st2session_start WORD`"))
            bench.backend.type("!st2 echo x")
            #expect(await bench.text().hasPrefix("You are not logged in to StackStorm"))
            #expect(await bench.stackStorm.request(count: "POST /api/v1/aliasexecution") == 0)
        }
    }

    @Test func `a revoked token is reported once, and other logins do not end`() async throws {
        try await Self.run { bench, desk in
            try await Self.logIn(bench, desk, "@alice", Self.alice)
            try await Self.logIn(bench, desk, "@bob", Self.bob)
            await bench.stackStorm.revokeTokens(of: "alice")
            bench.backend.type("!st2 echo x", as: "@alice")
            #expect(
                await bench.text().hasPrefix(
                    "StackStorm no longer accepts your login: it expired or was revoked. Nothing was started."))
            bench.backend.type("!st2 echo x", as: "@alice")
            #expect(await bench.text().hasPrefix("You are not logged in"))
            #expect(await bench.stackStorm.request(count: "POST /api/v1/aliasexecution") == 1, "it is not tried again")
            bench.backend.type("!st2 echo x", as: "@bob")
            #expect(await bench.text().hasPrefix("core.echo started"))
        }
    }

    @Test func `users end their own logins, and administrators any`() async throws {
        try await Self.run { bench, desk in
            bench.backend.type("!st2session_end", as: "@alice", in: nil)
            #expect(await bench.text() == "You are not logged in.")
            try await Self.logIn(bench, desk, "@alice", Self.alice)
            bench.backend.type("!st2session end", as: "@alice")
            #expect(await bench.text() == "You are logged out of StackStorm.")
            bench.backend.type("!st2 echo x", as: "@alice")
            #expect(await bench.text().hasPrefix("You are not logged in"))
            try await Self.logIn(bench, desk, "@bob", Self.bob)
            for command in ["!st2session_list", "!st2session_cancel x"] {
                bench.backend.type(command, as: "@bob")
                #expect(await bench.text() == "Only administrators may run this command.")
            }
            bench.backend.type("!st2session_list", as: "@root")
            let list = await bench.text()
            #expect(list.contains("@bob (@bob) on test as bob by user name and password"))
            #expect(!list.contains("demo"))
            bench.backend.type("!st2session cancel nothing", as: "@root")
            #expect(await bench.text().hasPrefix("There is no login “nothing”."))
            bench.backend.type("!st2session cancel \(list.prefix(36))", as: "@root")
            let replies = [await bench.text(), await bench.text()]
            #expect(replies.contains("The login of @bob as bob was ended."))
            #expect(replies.contains { $0.hasPrefix("An administrator ended your login to StackStorm.") })
            bench.backend.type("!st2session_list", as: "@root")
            #expect(await bench.text() == "No user is logged in.")
        }
    }

    @Test func `a login requires a direct chat and a word, which is masked`() async throws {
        try await Self.run { bench, desk in
            bench.backend.type("!st2session_start hunter2", in: "#ops")
            let reply = await bench.text()
            #expect(reply.contains("works only in a direct chat") && reply.contains("choose another"))
            bench.backend.type("!st2session_start", in: nil)
            #expect(await bench.text().hasPrefix("Write `!st2session_start WORD`"))
            bench.backend.type("!st2session start my own word", in: nil)
            #expect(await bench.text().contains("#link-1"))
            #expect(desk.requests.value.first?.word.reveal() == "my own word")
            #expect(
                bench.host.audit.all.map(\.line) == [
                    "st2session_start •••", "st2session_start", "st2session_start •••",
                ])
        }
    }

    @Test func `logins survive a restart with the encrypted store, and not in memory`() async throws {
        for kind in [StackStormModuleSettings.SecretsStore.encrypted, .memory] {
            let store = try TestStore()
            let stackStorm = SimulatedStackStorm()
            try await Bench.withSimulator(stackStorm) { _, port in
                for isFirst in [true, false] {
                    var settings = StackStormModuleSettings(client: try Bench.client(port: port))
                    settings.access = .clientside(Self.page)
                    settings.secretsStore = kind
                    let desk = TestDesk()
                    let backend = RecordingBackend()
                    let host = try TestHost([backend], store: store)
                    let module = try host.module(settings, logins: desk)
                    try await host.run([module]) {
                        if isFirst {
                            backend.type("!st2session_start tulip-garden", in: nil)
                            _ = await backend.next()
                            _ = try await desk.enter(Self.alice)
                            _ = await backend.next()
                        }
                        backend.type("!st2 echo x")
                        let text = await backend.next()?.reply.text ?? ""
                        let isIn = isFirst || kind == .encrypted
                        #expect(
                            text.hasPrefix(isIn ? "core.echo started" : "You are not logged in"), "\(kind) \(isFirst)")
                        // The result, which would otherwise be posted after the restart.
                        if isIn { _ = await backend.next() }
                    }
                }
            }
        }
    }

    @Test func `the same name on another backend is another user`() async throws {
        try await Bench.withSimulator { _, port in
            var settings = StackStormModuleSettings(client: try Bench.client(port: port))
            settings.access = .clientside(Self.page)
            let desk = TestDesk()
            let (first, second) = (RecordingBackend(name: "a"), RecordingBackend(name: "b"))
            let host = try TestHost([first, second])
            let module = try host.module(settings, logins: desk)
            try await host.run([module]) {
                first.type("!st2session_start tulip-garden", in: nil)
                _ = await first.next()
                _ = try await desk.enter(Self.alice)
                #expect(await first.next()?.reply.text.hasPrefix("You are logged in") == true)
                second.type("!st2 echo x", as: "@alice")
                #expect(await second.next()?.reply.text.hasPrefix("You are not logged in") == true)
                second.type("!st2session_end", as: "@alice")
                #expect(await second.next()?.reply.text == "You are not logged in.")
                first.type("!st2 echo x", as: "@alice")
                #expect(await first.next()?.reply.text.hasPrefix("core.echo started") == true)
            }
        }
    }

    @Test func `if users do not log in, the login commands say so and help does not list them`() async throws {
        try await Bench.run { bench in
            bench.backend.type("!st2session_start tulip-garden", in: nil)
            #expect(await bench.text().hasPrefix("All users here use the bot's StackStorm account"))
            #expect(bench.module.commands.filter(\.isListed).map(\.name) == ["st2", "st2help"])
        }
    }

    @Test func `a user without a stable identity can neither log in nor run a command`() async throws {
        try await Self.run { bench, desk in
            let guest = Person(id: "ops@conference/alice", name: "@alice", isStable: false)
            for (number, text) in ["!st2session_start tulip-garden", "!st2 echo x"].enumerated() {
                bench.host.host.receive(ChatMessage(id: "g\(number)", sender: guest, text: text), from: "test")
            }
            let replies = [await bench.text(), await bench.text()]
            #expect(replies.contains { $0.hasPrefix("This command requires an identity that is bound to one account") })
            #expect(replies.contains { $0.hasPrefix("Your name here is not bound to an account") })
            #expect(desk.requests.value.isEmpty)
        }
    }

    @Test func `a login that is withdrawn during its check does not begin`() async throws {
        try await Self.run { bench, desk in
            bench.backend.type("!st2session_start tulip-garden", as: "@alice", in: nil)
            _ = await bench.backend.next()
            _ = try await desk.enter(Self.alice, isWithdrawn: true)
            bench.backend.type("!st2 echo x", as: "@alice")
            #expect(await bench.text().hasPrefix("You are not logged in"))
        }
    }

    @Test func `events of a link are in the audit log, and its owner is notified`() async throws {
        try await Self.run { bench, desk in
            bench.backend.type("!st2session_start tulip-garden", as: "@alice", in: nil)
            _ = await bench.backend.next()
            let request = try #require(desk.requests.value.last)
            for event: LoginEvent in [.opened, .openedAgain, .wrongWord, .refusedProof, .withdrawn] {
                await request.happened(event, "192.0.2.1")
            }
            #expect(await bench.text().hasPrefix("Your login link was opened a second time."))
            #expect(await bench.text().hasPrefix("Your login link was withdrawn after too many failed attempts."))
            #expect(bench.host.audit.all.map(\.isAllowed) == [true, true, false, false, false, false])
            #expect(
                bench.host.audit.all.dropFirst().allSatisfy { $0.reason.contains("192.0.2.1") && $0.name == "@alice" })
            _ = try await desk.enter(Self.alice)
            #expect(
                bench.host.audit.all.last?.reason
                    == "logged in to StackStorm as alice by user name and password, from 192.0.2.1")
        }
    }

    @Test func `session_start works with a space after the prefix, and its word is masked`()
        async throws
    {
        try await Self.run { bench, _ in
            bench.backend.type("!st2 session_start hunter2-hunter2", in: nil)
            #expect(await bench.text().contains("#link-1"))
            bench.backend.type("!st2session_list foo", as: "@root")
            #expect(await bench.text() == "`!st2session_list` takes no arguments.")
            bench.backend.type("!st2session_strat hunter2-hunter2", in: nil)
            #expect(await bench.text().contains("hunter2") == false)
            #expect(bench.host.audit.all.first?.line == "st2session_start •••")
        }
    }

    @Test(arguments: ["a", "tulip", "sevenxx", "a      b", "ééé"])
    func `a word of fewer than eight characters is rejected with an explanation`(
        word: String
    ) async throws {
        try await Self.run { bench, desk in
            bench.backend.type("!st2session_start \(word)", in: nil)
            #expect(await bench.text() == "That word is too short: it needs at least 8 characters. Choose another one.")
            #expect(desk.requests.value.isEmpty)
        }
    }

    @Test func `users are notified once of another chat account that uses their StackStorm account`() async throws {
        try await Self.run { bench, desk in
            try await Self.logIn(bench, desk, "@alice", Self.alice)
            for isFirst in [true, false] {
                try await Self.logIn(bench, desk, "@mallory", Self.alice)
                guard isFirst else { continue }
                let told = try #require(await bench.backend.next())
                #expect(told.address.place == .direct("@alice") && told.reply.isPrivate)
                for part in ["@mallory", "192.0.2.1", "!st2session_cancel "] { #expect(told.reply.text.contains(part)) }
            }
            bench.backend.type("!st2session_end", as: "@mallory", in: nil)
            #expect(await bench.text() == "You are logged out of StackStorm.")
        }
    }

    @Test func `a login that is declined on the page does not begin, and its requester is notified`() async throws {
        try await Self.run { bench, desk in
            bench.backend.type("!st2session_start tulip-garden", as: "@mallory", in: nil)
            _ = await bench.backend.next()
            _ = try await desk.enter(Self.alice, agrees: false)
            #expect(await bench.text().hasPrefix("The login that you requested was cancelled on its page"))
            bench.backend.type("!st2 echo x", as: "@mallory")
            #expect(await bench.text().hasPrefix("You are not logged in"))
            #expect(bench.host.audit.all.contains { $0.reason.contains("as alice was declined") && !$0.isAllowed })
        }
    }
}
