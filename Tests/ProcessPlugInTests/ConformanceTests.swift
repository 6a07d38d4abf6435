import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import PlugInConformance
import PlugInProtocol
import ProcessModule
import Testing

@Suite(.timeLimit(.minutes(30))) struct ProcessConformanceTests {
    static let recorder = ConformanceRecorder("process")

    private static let launch = {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path
        return PlugInLaunch(name: "memory", command: ["python3", "\(folder)/memory_chat.py"], folder: folder)
    }()

    @Test(arguments: BackendConformance.cases) func `the process backend conforms`(item: ConformanceCase) async throws {
        let skip = try await Self.recorder.check(item) { body in
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let service = try await PlugInRehearsal.service(of: Self.launch, logger: logger)
            try await body(ProcessStage(Self.launch, try #require(service), logger: logger))
        }
        if let skip { try Test.cancel("\(skip)") }
    }
}

@Suite(.timeLimit(.minutes(30))) struct ProcessModuleConformanceTests {
    static let recorder = ConformanceRecorder("process module")

    private static let stage = ModuleStage(
        "fake", secretLines: [.init("echo text pin=sesame", secret: "sesame")]
    ) { ProcessModule(FakePlugIn.launch("module", ["quiet"]), $0, limits: FakePlugIn.limits) }

    @Test(arguments: ModuleConformance.cases) func `the process module conforms`(
        item: ModuleConformanceCase
    ) async throws {
        if let skip = try await Self.recorder.check(item, Self.stage) { try Test.cancel("\(skip)") }
    }
}

@Suite(.timeLimit(.minutes(30))) struct ConformancePageTests {
    private static let cases =
        ProtocolConformance.cases.map(\.id) + BackendConformance.cases.map(\.id) + ModuleConformance.cases.map(\.id)

    @Test func `every case names a section of the page`() throws {
        let root = URL(fileURLWithPath: #filePath).appendingPathComponent("../../..").standardized
        let page = try String(contentsOf: root.appendingPathComponent(ConformancePage.path), encoding: .utf8)
        let headings = Set(page.components(separatedBy: "\n").filter { $0.hasPrefix("#") })
        for id in Self.cases + ["protocol.test"] {
            let section = try #require(ConformancePage.section(of: id), "\(id)")
            #expect(headings.contains("## \(section)") || headings.contains("### \(section)"), "\(id): \(section)")
        }
    }

    @Test func `the identifiers of all cases are different`() {
        #expect(Set(Self.cases).count == Self.cases.count)
    }
}
