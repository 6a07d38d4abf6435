import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@Suite(.timeLimit(.minutes(5))) struct ModuleTests {
    private struct Failure: Error {}

    /// A module whose background task fails twice.
    private struct Failing: BotModule {
        let name = "failing"
        let runs = Locked(0)
        let holds = Signal()

        var commands: [Command] {
            [Command("runs", summary: "Count the starts.") { _ in Reply("\(runs.value)") }]
        }

        func run() async throws {
            let count = runs.withLock { runs in
                runs += 1
                return runs
            }
            if count < 3 { throw Failure() }
            holds.open()
            await Signal().wait()
        }
    }

    @Test func `a module that fails is restarted, and its commands remain available`() async throws {
        let backend = RecordingBackend()
        let module = Failing()
        try await TestHost([backend]).run([module]) {
            await module.holds.wait()
            backend.type("!runs")
            #expect(await backend.next()?.reply.text == "3")
        }
    }
}
