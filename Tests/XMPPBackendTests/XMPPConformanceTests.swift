import PetrelTesting
import Testing

/// XMPP meets the requirements for backends, on Prosody.
@Suite(.timeLimit(.minutes(30)), .crowd) struct XMPPConformanceTests {
    static let recorder = ConformanceRecorder("xmpp")

    @Test(arguments: BackendConformance.cases) func `the XMPP backend conforms`(item: ConformanceCase) async throws {
        let crowd = try #require(XMPPCrowd.current)
        let skip = try await Self.recorder.check(item) { body in
            try await XMPPStage.run(crowd) { stage in try await body(stage) }
        }
        if let skip { try Test.cancel("\(skip)") }
    }
}
