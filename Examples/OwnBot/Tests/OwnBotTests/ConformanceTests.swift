import LockModule
import PetrelTesting
import Testing

@Suite(.timeLimit(.minutes(10)))
struct ConformanceTests {
    static let backend = ConformanceRecorder("unix")
    static let module = ConformanceRecorder("lock")

    @Test(arguments: BackendConformance.cases)
    func `The backend conforms`(item: ConformanceCase) async throws {
        let skip = try await Self.backend.check(item) { body in
            try await withFolder { folder in
                let stage = try UnixStage(folder)
                defer { stage.disconnect() }
                try await body(stage)
            }
        }
        if let skip { try Test.cancel("\(skip)") }
    }

    @Test(arguments: ModuleConformance.cases)
    func `The module conforms`(item: ModuleConformanceCase) async throws {
        let skip = try await Self.module.check(item, ModuleStage("lock") { LockModule($0) })
        if let skip { try Test.cancel("\(skip)") }
    }
}
