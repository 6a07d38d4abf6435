import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormSimulator
import Testing

@testable import StackStormClient
@testable import StackStormModule

/// The cancellation of calls, which is not an outage of StackStorm.
@Suite(.timeLimit(.minutes(30))) struct CancellationTests {
    /// A client with its observed outcomes and recoveries.
    private struct Watched {
        let client: StackStormClient
        let outcomes = Locked<[String]>([])
        let recoveries = Locked(0)

        init(_ settings: StackStormSettings) throws {
            client = try StackStormClient(settings, logger: Bench.logger) { [outcomes] outcome, _ in
                outcomes.withLock { $0.append(outcome) }
            }
            client.onRecovery { [recoveries] in recoveries.withLock { $0 += 1 } }
        }
    }

    /// Runs a closure with a client whose call was cancelled while it waited for a response.
    private static func cancelled<Value: Sendable>(
        _ area: Fault.Area, _ path: String, _ call: @Sendable @escaping (StackStormClient) async throws -> Value,
        _ body: @Sendable @escaping (Task<Value, any Error>) async -> Void
    ) async throws {
        try await Bench.withSimulator { stackStorm, port in
            let watched = try Watched(Bench.client(port: port))
            _ = try await watched.client.account()
            await stackStorm.setFault(.hang, for: area)
            let count = await stackStorm.request(count: path)
            let task = Task { try await call(watched.client) }
            await stackStorm.untilRequested(path, times: count + 1)
            task.cancel()
            await body(task)
            await stackStorm.setFault(nil, for: area)
            _ = try await watched.client.account()
            #expect(watched.outcomes.value == ["ok", "cancelled", "ok"])
            #expect(watched.recoveries.value == 0)
        }
    }

    @Test func `a call that changes nothing throws CancellationError and is not counted as an outage`() async throws {
        try await Self.cancelled(.executions, "GET /api/v1/executions") {
            try await $0.executions()
        } _: { task in
            await #expect(throws: CancellationError.self) { try await task.value }
        }
        try await Self.cancelled(.actionalias, "POST /api/v1/actionalias/match") {
            try await $0.match("echo x")
        } _: { task in
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }

    @Test func `the outcome of a cancelled call that runs an alias is unknown`() async throws {
        try await Self.cancelled(.aliasexecution, "POST /api/v1/aliasexecution") {
            try await $0.run(
                AliasRun(
                    name: "echo", format: "echo {{ message }}", command: "echo x", user: "u", channel: "c", route: nil,
                    context: nil))
        } _: { task in
            await #expect {
                try await task.value
            } throws: {
                ($0 as? StackStormError)?.leavesOutcomeOpen == true
            }
        }
    }

    @Test func `a stop while calls wait for a response logs no problem`() async throws {
        let lines = Locked<[String]>([])
        var options = Bench.Options(logger: .init(label: "test") { _ in CollectingLogHandler(lines) })
        options.module = { $0.gracePeriod = .seconds(2) }
        try await Bench.run(options) { bench in
            await bench.stackStorm.setFault(.hang, for: .executions)
            bench.backend.type("!st2 echo x")
            _ = await bench.backend.next()
            // The watch for inquiries looks at intervals as long as a command has run recently.
            await bench.stackStorm.untilRequestedAgain("GET /api/v1/executions")
        }
        let problems = lines.value.filter { line in
            ["Cannot", "noAnswer", "cancelled", "CancellationError"].contains { line.contains($0) }
        }
        #expect(problems.isEmpty, "\(problems)")
    }
}
