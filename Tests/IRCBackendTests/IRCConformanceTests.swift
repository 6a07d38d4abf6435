import FaultSuite
import PetrelTesting
import Testing

/// IRC meets the requirements for backends, on ngIRCd.
@Suite(.timeLimit(.minutes(30)), .ircServer) struct IRCConformanceTests {
    static let recorder = ConformanceRecorder("irc")

    @Test(arguments: BackendConformance.cases) func `the IRC backend conforms`(item: ConformanceCase) async throws {
        let server = try #require(IRCServerTrait.server)
        let skip = try await Self.recorder.check(item) { body in
            try await IRCStage.run(server) { stage in try await body(stage) }
        }
        if let skip { try Test.cancel("\(skip)") }
    }
}

/// Runs a server for the time of a suite.
struct IRCServerTrait: SuiteTrait, TestScoping {
    @TaskLocal static var server: IRCServer?

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        try await IRCServer.run { server in try await Self.$server.withValue(server) { try await function() } }
    }
}

extension Trait where Self == IRCServerTrait {
    static var ircServer: Self { Self() }
}
