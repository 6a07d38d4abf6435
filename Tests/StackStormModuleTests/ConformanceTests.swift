import BuiltinsModule
import PetrelTesting
import StackStormSimulator
import Testing

@testable import StackStormModule

/// The module of StackStorm meets the requirements for modules, with a simulated StackStorm.
@Suite(.timeLimit(.minutes(30))) struct StackStormModuleConformanceTests {
    static let recorder = ConformanceRecorder("stackstorm module")

    @Test(arguments: ModuleConformance.cases) func `the StackStorm module conforms`(
        item: ModuleConformanceCase
    ) async throws {
        let skip = try await Bench.withSimulator { _, port in
            let settings = StackStormModuleSettings(client: try Bench.client(port: port))
            let stage = ModuleStage(
                "st2",
                secretLines: [.init("st2 deploy web 1.2 registry_token=hunter2", secret: "hunter2")]
            ) { host in
                try StackStormModule(settings, host: host)
            }
            return try await Self.recorder.check(item, stage)
        }
        if let skip { try Test.cancel("\(skip)") }
    }
}

/// The commands of the bot itself meet the requirements for modules.
@Suite(.timeLimit(.minutes(30))) struct BuiltinsModuleConformanceTests {
    static let recorder = ConformanceRecorder("builtins module")

    @Test(arguments: ModuleConformance.cases) func `the built-in commands conform`(
        item: ModuleConformanceCase
    ) async throws {
        let stage = ModuleStage("builtins") { BuiltinsModule($0) }
        if let skip = try await Self.recorder.check(item, stage) { try Test.cancel("\(skip)") }
    }
}
