import AWSClient
import Foundation
import PetrelTesting
import Testing

@testable import InfraModule

/// The module that finds instances meets the requirements for modules.
@Suite(.timeLimit(.minutes(30))) struct InfraModuleConformanceTests {
    static let recorder = ConformanceRecorder("infra module")

    @Test(arguments: ModuleConformance.cases) func `the infra module conforms`(
        item: ModuleConformanceCase
    ) async throws {
        let settings = try TestAccounts.two()
        let stage = ModuleStage("infra") { host in
            let clock = AWSClock(local: { 1_000_000 }) { _, _ in }
            return InfraModule(
                settings, host: host, clock: clock, now: { Date(timeIntervalSince1970: 1_000_000) },
                describe: { _, _, _, body in body(TestAccounts.instance(1)) })
        }
        if let skip = try await Self.recorder.check(item, stage) { try Test.cancel("\(skip)") }
    }
}
