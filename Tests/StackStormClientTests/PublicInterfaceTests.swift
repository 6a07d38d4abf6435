import Logging
import PetrelSupport
import StackStormClient
import StackStormSimulator
import Testing

@Suite(.timeLimit(.minutes(30))) struct PublicInterfaceTests {
    private static func run(
        _ stackStorm: SimulatedStackStorm = SimulatedStackStorm(), user: String = "petrel", password: String = "demo",
        _ body: @escaping @Sendable (ChatCommand) async throws -> Void
    ) async throws {
        let (ports, found) = AsyncStream.makeStream(of: Int.self)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let simulator = Simulator(stackStorm, logger: logger) { found.yield($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { found.finish() }
                try await simulator.run()
            }
            defer { group.cancelAll() }
            for await port in ports {
                return try await body(
                    ChatCommand(port: port, user: user, password: password) { await stackStorm.changes(after: $0) })
            }
            throw CancellationError()
        }
    }

    @Test func `aliases are listed, one is run, and its result is read from the stream`() async throws {
        try await Self.run { command in
            let page = try await command.client.aliases()
            #expect(page.items.map(\.ref).contains("fleet.drain"))
            #expect(page.total == page.items.count)
            #expect(page.malformed.isEmpty)
            #expect(try await command.client.alias("fleet.drain").actionRef == "fleet.drain")
            let text = try await command.run("drain web1 for 5 minutes")
            #expect(text == "web1 takes no new connections for 5 minutes.")
        }
    }

    @Test func `an alias that cannot be read is listed apart`() async throws {
        let content = SimulatedContent(
            aliases: [["name": "good", "pack": "a", "formats": ["good"]], ["pack": "a", "ref": "a.bad"]], actions: [])
        try await Self.run(SimulatedStackStorm(content)) { command in
            let page = try await command.client.aliases()
            #expect(page.items.map(\.ref) == ["a.good"])
            #expect(page.malformed.map(\.ref) == ["a.bad"])
            #expect(page.malformed.map(\.field) == ["name"])
        }
    }

    @Test func `StackStorm matches and runs a command`() async throws {
        try await Self.run { command in
            let runs = try await command.client.matchAndExecute("echo hello", user: "ann", channel: "#ops")
            #expect(runs.count == 1)
            let execution = try await command.end(of: try #require(runs.first).execution.id)
            #expect(execution.status == "succeeded")
            #expect(execution.action?.ref == "core.echo")
            #expect(try await command.client.output(of: execution.id).contains("hello"))
            await #expect(throws: StackStormError.self) {
                try await command.client.matchAndExecute("no such thing", user: "ann", channel: "#ops")
            }
        }
    }

    @Test func `executions are listed by filter`() async throws {
        try await Self.run { command in
            for text in ["echo a", "echo b", "verify backup of x"] {
                for run in try await command.client.matchAndExecute(text, user: "ann", channel: "#ops") {
                    _ = try await command.end(of: run.execution.id)
                }
            }
            var filter = ExecutionFilter()
            filter.action = "core.echo"
            filter.isNewestFirst = false
            let all = try await command.client.executions(filter)
            #expect(all.items.map { $0.parameters?["message"] } == ["a", "b"])
            #expect(all.items.allSatisfy { $0.result == nil && $0.start != nil && $0.end != nil })
            filter.limit = 1
            filter.includesResults = true
            let first = try await command.client.executions(filter)
            #expect(first.total == 2)
            #expect(first.items.map(\.id) == all.items.prefix(1).map(\.id))
            #expect(first.items.first?.result != nil)
            filter.startedAfter = all.items.last?.start
            #expect(try await command.client.executions(filter).items.isEmpty)
        }
    }

    @Test func `an execution is cancelled`() async throws {
        try await Self.run { command in
            let runs = try await command.client.matchAndExecute("deploy shop", user: "ann", channel: "#ops")
            let id = try #require(runs.first).execution.id
            #expect(try await command.client.cancel(id) == nil)
            #expect(try await command.end(of: id).status == "canceled")
            #expect(try await command.client.cancel(id)?.contains("canceled") == true)
        }
    }

    @Test func `an inquiry is answered`() async throws {
        try await Self.run { command in
            let text = try await command.run("deploy shop 1.2") { _ in try await command.approve() }
            #expect(text == "shop 1.2 is deployed (rolling).")
            #expect(try await command.client.inquiries().isEmpty)
        }
    }

    @Test func `a login is proved, and calls are made as its user`() async throws {
        try await Self.run { command in
            #expect(try await command.client.account().username == "petrel")
            let bob = try await command.client.prove(.password(name: "bob", password: Secret("demo")))
            #expect(bob.user == "bob")
            #expect(try await command.client.account(of: bob.credential).username == "bob")
            await #expect {
                _ = try await command.client.matchAndExecute(
                    "backup x to s3", user: "bob", channel: "#ops", as: bob.credential)
            } throws: {
                ($0 as? StackStormError)?.code == .forbidden
            }
            await #expect {
                _ = try await command.client.prove(.token(Secret("wrong")))
            } throws: {
                ($0 as? StackStormError)?.code == .unauthorized
            }
        }
    }

    @Test func `errors say what went wrong`() async throws {
        try await Self.run { command in
            for id in ["000000000000000000000000", "not an id"] {
                await #expect {
                    _ = try await command.client.execution(id)
                } throws: {
                    ($0 as? StackStormError)?.code == .notFound
                }
            }
        }
        try await Self.run(password: "wrong") { command in
            await #expect {
                _ = try await command.client.account()
            } throws: {
                ($0 as? StackStormError)?.code == .unauthorized
            }
        }
    }
}
