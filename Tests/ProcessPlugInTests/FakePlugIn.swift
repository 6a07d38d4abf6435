import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import PlugInProtocol
import ProcessBackend
import ProcessModule
import Testing

/// The program `fake_plugin.py`, which can violate the protocol.
enum FakePlugIn {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path

    /// Limits that a slow machine does not exceed.
    static var limits: PlugInProcess.Limits {
        var limits = PlugInProcess.Limits()
        limits.hello = .seconds(300)
        limits.ping = .seconds(300)
        return limits
    }

    static func launch(
        _ role: String, _ faults: [String] = [], environment: [String: String] = [:], secrets: [Secret] = [],
        timeout: Duration = .seconds(600)
    ) -> PlugInLaunch {
        PlugInLaunch(
            name: "fake", command: ["python3", "\(folder)/fake_plugin.py", role] + faults, folder: folder,
            environment: environment, secrets: secrets, timeout: timeout)
    }

    /// A module of another kind, whose command must always be answered.
    struct Other: BotModule {
        let name = "other"
        let commands = [Command("other", summary: "Answer.") { _ in Reply("here") }]
    }

    /// Runs a module with the program, beside another module.
    static func run(
        _ launch: PlugInLaunch = launch("module"), limits: PlugInProcess.Limits = limits, logger: Logger? = nil,
        startsWell: Bool = true, store: TestStore? = nil,
        _ body: @Sendable (RecordingBackend, TestHost) async throws -> Void
    ) async throws {
        let backend = RecordingBackend { Issue.record("\($0)") }
        let host = try TestHost([backend], admins: ["@alice"], store: store, logger: logger)
        try await host.run({ [ProcessModule(launch, $0.access(for: "fake"), limits: limits), Other()] }) {
            if startsWell { await backend.untilReady() }
            try await body(backend, host)
        }
    }
}

extension RecordingBackend {
    convenience init(onTimeout: @escaping @Sendable (String) -> Void) {
        self.init(traits: BackendTraits(threads: true, edits: true), onTimeout: onTimeout)
    }

    /// Sends a line and returns the text of the next reply.
    func ask(_ line: String) async -> String {
        type("!\(line)")
        return await next()?.reply.text ?? ""
    }

    /// Waits until the program has started.
    func untilReady() async { #expect(await next()?.reply.text == "ready") }
}
