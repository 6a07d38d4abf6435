import JobsModule
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

/// The module of jobs meets the requirements for modules.
@Suite(.timeLimit(.minutes(30))) struct JobsModuleConformanceTests {
    static let recorder = ConformanceRecorder("jobs module")

    @Test(arguments: ModuleConformance.cases) func `the module of jobs conforms`(
        item: ModuleConformanceCase
    ) async throws {
        let echo: JSONValue = ["command": "echo", "auth_strategy": "any", "secrets": ["--password"]]
        let stage = ModuleStage("jobs", secretLines: [.init("echo --password hunter2 x", secret: "hunter2")]) { host in
            let (section, _) = try JobsHouse.settings(["commands": ["echo": echo]])
            let modules = try JobsPlugIn([section]).makeModules(ModuleContext(loop: EventLoopExecutor()) { _ in host })
            return try #require(modules.first { $0.name == "jobs" })
        }
        if let skip = try await Self.recorder.check(item, stage) { try Test.cancel("\(skip)") }
    }
}
