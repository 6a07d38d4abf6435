import FaultSuite
import Foundation
import Testing

/// A short version of `make faults`.
@Suite(.serialized, .timeLimit(.minutes(30))) struct FaultTests {
    @Test(arguments: FaultSuite.scenarios.map(\.name)) func `no message is lost, and no command runs twice`(
        name: String
    ) async throws {
        let scenario = try #require(FaultSuite.scenarios.first { $0.name == name })
        let outcome = try await scenario.run(FaultSuite(program: Program.path, size: .short, seed: 1))
        #expect(outcome.isGood, "\(outcome.line)")
        if outcome.obstacle == nil { #expect(outcome.injected > 0 && outcome.sent > 20) }
    }
}
