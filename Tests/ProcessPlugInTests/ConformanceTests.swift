import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import PlugInConformance
import PlugInProtocol
import Testing

@Suite(.timeLimit(.minutes(10))) struct ProcessConformanceTests {
    static let recorder = ConformanceRecorder("process")

    private static let launch = {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path
        return PlugInLaunch(name: "memory", command: ["python3", "\(folder)/memory_chat.py"], folder: folder)
    }()

    // The traits of a program are known only after its start, so that they are not constant.
    private static let cases = BackendConformance.cases.filter { $0.id != "declare.constant" }

    @Test(arguments: cases) func `the process backend conforms`(item: ConformanceCase) async throws {
        let skip = try await Self.recorder.check(item) { body in
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let service = try await PlugInRehearsal.service(of: Self.launch, logger: logger)
            try await body(ProcessStage(Self.launch, try #require(service), logger: logger))
        }
        if let skip { try Test.cancel("\(skip)") }
    }
}
