import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import PetrelCore

@Suite(.timeLimit(.minutes(30))) struct DispatcherTests {
    private struct Module: BotModule {
        var name = "m"
        var commands: [Command]
    }

    private struct Surprise: Error {}

    @Test func `a command that hangs does not delay other users, in the same room or elsewhere`() async throws {
        let backend = RecordingBackend()
        let release = Signal()
        let module = Module(commands: [
            Command("slow", summary: "") { _ in
                await release.wait()
                return Reply("slow is done")
            },
            Command("fast", summary: "") { _ in Reply("fast is done") },
        ])
        try await TestHost([backend]).run([module]) {
            for _ in 0..<10 { backend.type("!slow", as: "@alice") }
            backend.type("!fast", as: "@bob")
            #expect(await backend.next()?.reply.text == "fast is done")
            release.open()
            for _ in 0..<10 { #expect(await backend.next()?.reply.text == "slow is done") }
        }
    }

    @Test func `the text of an error reply is logged only at debug`() async throws {
        let lines = Locked<[String]>([])
        var logger = Logger(label: "test") { _ in CollectingLogHandler(lines) }
        let fail = Command("fail", summary: "") { throw Refusal("no such color: \($0.arguments)") }
        for (level, isShown) in [(Logger.Level.info, false), (.debug, true)] {
            logger.logLevel = level
            lines.withLock { $0 = [] }
            let backend = RecordingBackend()
            try await TestHost([backend], logger: logger).run([Module(commands: [fail])]) {
                backend.type("!fail mauve")
                #expect(await backend.next()?.reply.text == "no such color: mauve")
            }
            #expect(lines.value.contains { $0.contains("A command ended with an error reply (Refusal).") })
            #expect(lines.value.contains { $0.contains("mauve") } == isShown)
        }
    }

    @Test func `a message is read once, and again when its text or the prefix changes`() async throws {
        let backend = RecordingBackend()
        let host = try TestHost([backend])
        let echo = Command("echo", summary: "") { Reply($0.arguments) }
        try await host.run([Module(name: "m", commands: [echo])]) {
            func read(_ text: String) -> ChatMessage {
                var message = ChatMessage(id: text, sender: Person(id: "U1", name: "@ann"), room: nil, text: text)
                #expect(host.host.dispatcher.isMeant(&message) == (message.reading?.line != nil))
                return message
            }
            host.host.receive(read("!echo as it is"), from: "test")
            #expect(await backend.next()?.reply.text == "as it is")
            var named = read("!echo @U2")
            named.text = "!echo  @bob"
            host.host.receive(named, from: "test")
            #expect(await backend.next()?.reply.text == "@bob")
            let (old, unmeant) = (read("!echo old prefix"), read("?echo new prefix"))
            #expect(unmeant.reading?.line == nil)
            var policy = host.host.dispatcher.currentPolicy
            policy.prefixes = Prefixes(prefix: "?")
            host.host.dispatcher.update(policy)
            host.host.receive(old, from: "test")
            host.host.receive(unmeant, from: "test")
            #expect(await backend.next()?.reply.text == "new prefix")
        }
    }

    @Test func `messages to a room are sent in order`() async throws {
        let backend = RecordingBackend { _, _ in await Task.yield() }
        let module = Module(commands: [
            Command("count", summary: "") { invocation in
                for number in 0..<200 { invocation.say(Reply("\(number)")) }
                return Reply("end")
            }
        ])
        try await TestHost([backend]).run([module]) {
            backend.type("!count")
            for number in 0..<200 { #expect(await backend.next()?.reply.text == "\(number)") }
            #expect(await backend.next()?.reply.text == "end")
        }
    }

    @Test func `a failed message is sent again, and the order is preserved`() async throws {
        let backend = RecordingBackend(obstacle: RecordingBackend.failing(3) { Surprise() })
        let module = Module(commands: [
            Command("two", summary: "") { invocation in
                invocation.say(Reply("first"))
                return Reply("second")
            }
        ])
        try await TestHost([backend]).run([module]) {
            backend.type("!two")
            #expect(await backend.next()?.reply.text == "first")
            #expect(await backend.next()?.reply.text == "second")
        }
    }

    @Test func `an error with a reply is shown, and any other is logged with an ID`() async throws {
        let backend = RecordingBackend()
        let module = Module(commands: [
            Command("refuse", summary: "") { _ in throw Refusal("Not today.") },
            Command("break", summary: "") { _ in throw Surprise() },
        ])
        try await TestHost([backend]).run([module]) {
            backend.type("!refuse")
            #expect(await backend.next()?.reply.text == "Not today.")
            backend.type("!break")
            let text = await backend.next()?.reply.text ?? ""
            #expect(text.wholeMatch(of: /Internal error [0-9a-f]{8}; see the log\./) != nil)
            #expect(!text.contains("Surprise"))
        }
    }

    @Test func `every message is completed once, regardless of its outcome`() async throws {
        let backend = RecordingBackend()
        let module = Module(commands: [
            Command("ok", summary: "") { _ in Reply("ok") }, Command("quiet", summary: "") { _ in nil },
            Command("admin", summary: "", isAdminOnly: true) { _ in Reply("admin") },
        ])
        try await TestHost([backend]).run([module]) {
            var ids: Set<String> = []
            for text in ["!ok", "!quiet", "!admin", "!nonsense", "no command", "!"] { ids.insert(backend.type(text)) }
            for _ in 0..<6 { if let id = await backend.nextCompleted() { ids.remove(id) } }
            #expect(ids.isEmpty)
        }
    }

    @Test func `only administrators may run administrators' commands`() async throws {
        let backend = RecordingBackend()
        let module = Module(commands: [Command("admin", summary: "", isAdminOnly: true) { _ in Reply("done") }])
        try await TestHost([backend], admins: ["@root"]).run([module]) {
            backend.type("!admin", as: "@alice")
            #expect(await backend.next()?.reply.kind == .error)
            backend.type("!admin", as: "@root")
            #expect(await backend.next()?.reply.text == "done")
        }
    }

    @Test func `a failed backend does not affect others`() async throws {
        struct Broken: ChatBackend {
            let name = "broken"
            let traits = BackendTraits()
            func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws { throw Surprise() }
            func send(_ reply: Reply, to address: Address) async throws -> MessageReference? { throw Surprise() }
        }
        let backend = RecordingBackend()
        let module = Module(commands: [Command("ok", summary: "") { _ in Reply("ok") }])
        try await TestHost([Broken(), backend]).run([module]) {
            backend.type("!ok")
            #expect(await backend.next()?.reply.text == "ok")
        }
    }

    @Test func `the answer to an unknown command suggests similar ones`() async throws {
        let backend = RecordingBackend()
        let module = Module(commands: [Command("uptime", summary: "") { _ in nil }])
        try await TestHost([backend]).run([module]) {
            backend.type("!uptmie")
            #expect(await backend.next()?.reply.text.contains("`!uptime`") == true)
        }
    }

    @Test(arguments: [
        (Dispatcher.UnknownCommands.answer, ["!deploy web": true, "!hepl": true]),
        (.hint, ["!deploy web": false, "!hepl": true]), (.ignore, ["!deploy web": false, "!hepl": false]),
    ]) func `unknown commands are answered according to the settings, and only if they contain a word`(
        policy: Dispatcher.UnknownCommands, answers: [String: Bool]
    ) async throws {
        var settings = Dispatcher.Policy()
        settings.unknownCommands = policy
        let backend = RecordingBackend()
        try await TestHost([backend], policy: settings).run([UnknownModule()]) {
            for line in ["!!!", "!?", "!:tada:", "!…", "! :+1: !", "!\u{301}"] {
                backend.type(line)
                _ = await backend.nextCompleted()
            }
            for (line, isAnswered) in answers.sorted(by: { $0.key < $1.key }) {
                backend.type(line)
                if isAnswered { #expect(await backend.next()?.reply.text.hasPrefix("Unknown command") == true) }
                backend.type("!help")
                #expect(await backend.next()?.reply.text == "helped")
            }
            // In a direct chat, every line is for the bot.
            backend.type("!deploy web", in: nil)
            #expect(await backend.next()?.reply.text.hasPrefix("Unknown command") == true)
        }
    }

    @Test(arguments: ["\u{200B}!help", "\u{FEFF}\u{2060} ! \u{200B}help\u{200B}"])
    func `invisible characters around the prefix and the command are removed`(line: String) async throws {
        let backend = RecordingBackend()
        try await TestHost([backend]).run([UnknownModule()]) {
            backend.type(line)
            #expect(await backend.next()?.reply.text == "helped")
        }
    }

    private struct UnknownModule: BotModule {
        let name = "test"
        var commands: [Command] { [Command("help", summary: "") { _ in Reply("helped") }] }
    }
}
