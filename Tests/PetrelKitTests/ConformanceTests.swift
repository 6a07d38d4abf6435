import PetrelTesting
import Testing

/// The recording backend, with which modules are tested, meets the requirements for backends.
@Suite(.timeLimit(.minutes(10))) struct RecordingConformanceTests {
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
