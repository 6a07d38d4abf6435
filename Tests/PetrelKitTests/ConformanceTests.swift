import PetrelKit
import PetrelTesting
import Testing

/// The recording backend, with which modules are tested, meets the requirements for backends.
@Suite(.timeLimit(.minutes(30))) struct RecordingConformanceTests {
    static let recorder = ConformanceRecorder("recording")

    @Test(arguments: BackendConformance.cases) func `the recording backend conforms`(item: ConformanceCase) async throws
    {
        let skip = try await Self.recorder.check(item) { body in try await body(RecordingStage()) }
        if let skip { try Test.cancel("\(skip)") }
    }

    @Test func `there are at least 60 cases with different identifiers`() {
        #expect(Set(BackendConformance.cases.map(\.id)).count == BackendConformance.cases.count)
        #expect(BackendConformance.cases.count >= 60)
    }
}

/// The requirements for modules.
@Suite(.timeLimit(.minutes(30))) struct ModuleConformanceTests {
    /// A module whose commands are known from the start.
    private struct Tea: BotModule {
        let name: String
        let commands = [Command("tea", usage: "TEXT", summary: "Return the text.") { Reply($0.arguments) }]
    }

    static let recorder = ConformanceRecorder("module")

    @Test(arguments: ModuleConformance.cases) func `a simple module conforms`(item: ModuleConformanceCase) async throws
    {
        let stage = ModuleStage("tea") { Tea(name: $0.module) }
        if let skip = try await Self.recorder.check(item, stage) { try Test.cancel("\(skip)") }
    }

    @Test func `a module with another name than its host is reported`() async throws {
        let outcome = await ModuleConformance.cases[0].outcome(ModuleStage("tea") { _ in Tea(name: "coffee") })
        #expect(outcome.failure?.expected == "a module with the name of its host, “tea”")
        #expect(outcome.failure?.got == "one with the name “coffee”")
    }

    @Test func `a failure is reported in lines of its own`() {
        let failure = ConformanceFailure(expected: "a\nb", got: "c")
        let entry = ConformanceReport.Entry(
            id: "answer.order", title: "replies are shown in order", outcome: .init(.failed(failure), ["stop": 0.5]),
            page: "Page")
        #expect(
            entry.text == """
                answer.order              failed (stop 0.5 s)
                    Required: replies are shown in order
                    Expected: a b
                    Got:      c
                    See:      Page
                """)
    }
}
