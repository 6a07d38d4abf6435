import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import PetrelCore

/// Commands that are ended from outside, as at the end of the time of a function of AWS Lambda.
@Suite(.timeLimit(.minutes(10))) struct EndingTests {
    private struct Module: BotModule {
        let name = "m"
        let started = Mailbox<String>()
        /// Ends the command that ignores its cancellation.
        let release = Signal()

        private func command(_ name: String, _ work: @escaping @Sendable () async throws -> Reply?) -> Command {
            Command(name, summary: "") { _ in
                started.put(name)
                return try await work()
            }
        }

        var commands: [Command] {
            [
                command("sleep") {
                    try await Task.sleep(for: .seconds(86_400))
                    return nil
                },
                command("break") {
                    await Signal().wait()
                    throw PlaceFailure()
                },
                command("refuse") {
                    await Signal().wait()
                    throw Refusal("The outcome is unknown.")
                },
                command("finish") {
                    await Signal().wait()
                    return Reply("The command is done.")
                },
                command("ignore") {
                    await Task { await release.wait() }.value
                    return Reply("much too late")
                },
                Command("quick", summary: "") { _ in Reply("quick is done") },
            ]
        }
    }

    private struct PlaceFailure: Error {}

    private static let ended =
        "The command was ended, because time is up. It may have had an effect; please check before you send it again."

    @Test func `each command gets an answer, also one that waits or ignores its end`() async throws {
        let backend = RecordingBackend()
        let lines = Locked<[String]>([])
        let logger = Logger(label: "test") { _ in CollectingLogHandler(lines) }
        let host = try TestHost(
            [backend], policy: Dispatcher.Policy(), logger: logger,
            limits: FairQueueLimits(limit: 16, personLimit: 1))
        let module = Module()
        try await host.run([module]) {
            let expected = [
                "sleep": Self.ended, "break": Self.ended, "refuse": "The outcome is unknown.\n\(Self.ended)",
                "finish": "The command is done.", "ignore": Self.ended,
            ]
            for name in expected.keys { backend.type("!\(name)", as: "@\(name)", in: "#\(name)") }
            for _ in expected { _ = await module.started.next() }
            // It waits, because its person has a command that is running.
            backend.type("!quick", as: "@sleep", in: "#waiting")
            backend.type("!nosuch", as: "@sleep", in: "#answer")
            while host.host.dispatcher.load.waiting < 2 { await Task.yield() }

            for _ in 0..<3 { host.host.endWork("time is up") }
            var replies: [String: String] = [:]
            for _ in 0..<expected.count + 2 {
                let sent = try #require(await backend.next())
                replies[String(sent.address.place.id.dropFirst())] = sent.reply.text
            }
            for (name, text) in expected { #expect(replies[name] == text) }
            #expect(
                replies["waiting"] == "The command was not started, because time is up. Please send it again.")
            #expect(replies["answer"]?.contains("Unknown command") == true)
            while await host.host.pendingWork() > 0 { await Task.yield() }

            // Later commands are not affected, and what comes too late is not said.
            backend.type("!quick", as: "@ignore", in: "#later")
            #expect(await backend.next()?.reply.text == "quick is done")
            module.release.open()
            while !lines.value.contains(where: { $0.contains("after it was given up") }) { await Task.yield() }
            backend.type("!quick", as: "@sleep", in: "#later")
            #expect(await backend.next()?.reply.text == "quick is done")
            #expect(host.host.dispatcher.load == (0, 0))
        }
    }

    @Test func `removed jobs are those that wait, in the order of their turns`() {
        var queue = FairQueue<Int>(FairQueueLimits(limit: 1, personLimit: 1))
        #expect(queue.admit(.init(1, for: "a")) == .run)
        for (job, person) in [(2, "a"), (3, "b"), (4, "a")] { #expect(queue.admit(.init(job, for: person)) == .waits) }
        #expect(queue.removeWaiting().map(\.job) == [2, 4, 3])
        #expect(queue.waitingCount == 0 && queue.runningCount == 1)
        #expect(queue.admit(.init(5, for: "b")) == .waits)
        #expect(queue.finished(.init(1, for: "a")).map(\.job) == [5])
    }
}
