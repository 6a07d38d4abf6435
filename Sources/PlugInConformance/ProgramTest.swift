import Logging
import PetrelSupport
import PetrelTesting
import PlugInProtocol
import ProcessModule

/// A test of a program: the requirements of the protocol, and those for its role.
struct ProgramTest: Sendable {
    private let launch: PlugInLaunch
    private let role: PlugInTest.Role
    private let greeting: JSONValue
    private let logger: Logger

    /// - Parameter greeting: the result of `hello` for this role.
    init(_ launch: PlugInLaunch, _ role: PlugInTest.Role, _ greeting: JSONValue, _ logger: Logger) {
        self.launch = launch
        self.role = role
        self.greeting = greeting
        self.logger = logger
    }

    /// Runs all cases, one after the other.
    /// - Parameter show: a closure that receives the lines of the report, as soon as they are known.
    func report(_ show: (String) async throws -> Void) async throws -> ConformanceReport {
        var report = ConformanceReport(launch.name)
        for item in ProtocolConformance.cases {
            let entry = await ProtocolConformance.entry(of: item, launch, isModule: role == .module, logger: logger)
            report.entries.append(entry)
            try await show(entry.text)
        }
        switch role {
        case .module: try await addModuleCases(to: &report, show)
        case .backend: try await addBackendCases(to: &report, show)
        }
        try await show(report.summary)
        return report
    }

    private func addModuleCases(
        to report: inout ConformanceReport, _ show: (String) async throws -> Void
    ) async throws {
        let stage = ModuleStage(launch.name, secretLines: secretLines) { ProcessModule(launch, $0) }
        for item in ModuleConformance.cases {
            let outcome = await item.outcome(stage)
            report.entries.append(entry(item.id, item.title, outcome))
            try await show(report.entries[report.entries.count - 1].text)
        }
    }

    /// Lines with a value of each secret argument that a command declares.
    private var secretLines: [ModuleStage.SecretLine] {
        let secret = "conformance-secret"
        return (greeting["commands"]?.array ?? []).flatMap { command in
            (command["arguments"]?.array ?? []).compactMap { argument -> ModuleStage.SecretLine? in
                guard argument["secret"] == true, let name = command["name"]?.string,
                    let key = argument["name"]?.string
                else { return nil }
                return ModuleStage.SecretLine("\(name) \(key)=\(secret)", secret: secret)
            }
        }
    }

    private func addBackendCases(
        to report: inout ConformanceReport, _ show: (String) async throws -> Void
    ) async throws {
        let service: ProcessStage.Service?
        do { service = try ProcessStage.Service(greeting) } catch {
            let failure = ConformanceFailure(
                expected: "the members `traits` and `test` of the result of `hello` as that page describes them",
                got: error.message)
            let entry = entry("protocol.test", "the stand-in is described correctly", .init(.failed(failure)))
            report.entries.append(entry)
            return try await show(entry.text)
        }
        guard let service else {
            let reason =
                "the result of `hello` describes no stand-in for the service; see \(ConformancePage.of("protocol.test"))"
            let outcome = ConformanceOutcome(.skipped(reason))
            report.entries += BackendConformance.cases.map { entry($0.id, $0.title, outcome) }
            return try await show("\(BackendConformance.cases.count) cases for backends are skipped: \(reason)")
        }
        for item in BackendConformance.cases {
            let outcome = await item.outcome { body in try await body(ProcessStage(launch, service, logger: logger)) }
            report.entries.append(entry(item.id, item.title, outcome))
            try await show(report.entries[report.entries.count - 1].text)
        }
    }

    private func entry(_ id: String, _ title: String, _ outcome: ConformanceOutcome) -> ConformanceReport.Entry {
        ConformanceReport.Entry(id: id, title: title, outcome: outcome, page: ConformancePage.of(id))
    }
}
