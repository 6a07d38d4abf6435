import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormSimulator
import Testing

@testable import StackStormModule

/// Unknown outcomes of commands, and results that arrive late or without context.
@Suite(.timeLimit(.minutes(30))) struct OutcomeTests {
    private static func options(_ content: SimulatedContent = .demo) -> Bench.Options {
        Bench.Options(content: content, module: { $0.gracePeriod = .seconds(1) })
    }

    @Test(arguments: [Fault.statusAfter(503), .statusAfter(500), .statusAfter(504)])
    func `an error after the execution was started leaves the outcome unknown, and each user is told the right one`(
        fault: Fault
    ) async throws {
        try await Bench.run(Self.options()) { bench in
            await bench.stackStorm.setFault(fault, for: .aliasexecution)
            for number in 0..<20 { bench.backend.type("!st2 echo done\(number)", as: "@person\(number)") }
            await bench.stackStorm.untilRequested("POST /api/v1/aliasexecution", times: 20)
            await bench.stackStorm.setFault(.status(503), for: .aliasexecution)
            for number in 0..<20 { bench.backend.type("!st2 echo lost\(number)", as: "@person\(number)") }
            var told: [String: Int] = [:]
            // 20 results and 20 reports of "not started". A result that arrives later than the error is preceded by a
            // report that the command was started.
            while told["result", default: 0] < 20 || told["not started", default: 0] < 20 {
                let text = await bench.text()
                let kind =
                    text.contains("stdout : done")
                    ? "result" : text.contains("it was not started") ? "not started" : "other"
                #expect(!text.contains("stdout : lost") && !text.isEmpty)
                guard !text.isEmpty else { break }
                told[kind, default: 0] += 1
            }
            #expect(told["result"] == 20 && told["not started"] == 20, "\(told)")
            let started = await bench.stackStorm.started
            #expect(started.count == 20 && started.values.allSatisfy { $0 == 1 })
        }
    }

    @Test func `the search begins when StackStorm is back`() async throws {
        try await Bench.run(Self.options()) { bench in
            for area in [Fault.Area.executions, .actionalias, .user] {
                await bench.stackStorm.setFault(.status(503), for: area)
            }
            await bench.stackStorm.setFault(.statusAfter(503), for: .aliasexecution)
            await bench.stackStorm.change { $0.announces = false }
            bench.backend.type("!st2 echo x")
            #expect(await bench.text().contains("the bot searches StackStorm's history for it"))
            for _ in 0..<3 { await bench.stackStorm.untilRequestedAgain("GET /api/v1/executions") }
            for area in Fault.Area.allCases { await bench.stackStorm.setFault(nil, for: area) }
            #expect(await bench.text().hasPrefix("`echo x` was started after all: core.echo "))
        }
    }

    @Test func `an execution whose result is still being announced is not reported`() async throws {
        try await Bench.run(Self.options()) { bench in
            await bench.stackStorm.change { $0.delaysResults = true }
            bench.backend.type("!st2 echo slow")
            _ = await bench.backend.next()
            // Longer than the grace period: each check finds that the result is being announced.
            let looks = await bench.stackStorm.request(count: "GET /api/v1/executions")
            await bench.stackStorm.untilRequested("GET /api/v1/executions", times: looks + 12)
            await bench.stackStorm.postDelayed()
            #expect(await bench.text().contains("stdout : slow"))
        }
    }

    /// An alias with `match_multiple`.
    private static let multiple = SimulatedContent(
        aliases: SimulatedContent.demo.aliases + [
            SimulatedContent.alias(
                "ops.issue", "", action: "core.echo",
                formats: [
                    .object([
                        "display": "issue <message>", "representation": ["issue {{ message }}"], "match_multiple": true,
                    ])
                ])
        ], actions: SimulatedContent.demo.actions)

    @Test func `results of match_multiple go to the thread`() async throws {
        try await Bench.run(Self.options(Self.multiple)) { bench in
            for thread in ["t1", "t2"] {
                bench.backend.type("!st2 issue ABC-1", thread: thread)
                let ack = await bench.backend.next()
                #expect(ack?.address.thread == thread)
                let result = await bench.backend.next()
                #expect(result?.reply.text.contains("stdout : ABC-1") == true)
                #expect(result?.address.thread == thread)
                #expect(await bench.backend.nextSettled() != nil)
            }
            await bench.untilNothingIsOpen()
            await bench.stackStorm.publish(payload: ["channel": "#ops", "message": "to all"], route: "errbot")
            let other = await bench.backend.next()
            #expect(other?.reply.text == "to all" && other?.address.thread == nil)
        }
    }

    @Test func `an announcement without a command goes to the room while such a result is pending`() async throws {
        let release = Signal()
        var content = Self.multiple
        content.actions.removeAll { $0.ref == "core.echo" }
        content.actions.append(
            SimulatedAction("core.echo", parameters: ["message": ["type": "string"]]) { run in
                await release.wait()
                return ["stdout": .string(run.text("message"))]
            })
        try await Bench.run(Self.options(content)) { bench in
            bench.backend.type("!st2 issue ABC-1", thread: "t1")
            _ = await bench.backend.next()
            await bench.stackStorm.publish(payload: ["channel": "#ops", "message": "to all"], route: "errbot")
            let other = await bench.backend.next()
            #expect(other?.reply.text == "to all" && other?.address.thread == nil)
            release.open()
            #expect(await bench.backend.next()?.address.thread == "t1")
        }
    }
}
