package import ArgumentParser
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import PlugInProtocol
import ProcessModule

/// The command `petrel plugin`.
package struct PlugInCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "plugin", abstract: "Test plug-ins that are programs.", subcommands: [PlugInTest.self])

    package init() {}
}

/// The command `petrel plugin test`.
package struct PlugInTest: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "test", abstract: "Run the conformance suite against a program.",
        discussion: """
            The program is started several times. Backends need a stand-in for their service to be tested completely; \
            see docs/PluginProtocol.md. The exit status is 1 if a case fails.
            """)

    /// What a program is.
    package enum Role: String, ExpressibleByArgument, CaseIterable, Sendable { case backend, module }

    @Option(help: "What the program is. By default, its response to `hello` decides.") var role: Role?
    @Option(help: "The settings for the program, as JSON.") var settings = "{}"
    @Option(name: .customLong("env"), help: "An environment variable of the program, as NAME=VALUE.")
    var environment: [String] = []
    @Flag(help: "Print the report as JSON.") var json = false
    @Argument(parsing: .postTerminator, help: "The program and its arguments.") var command: [String]

    package init() {}

    package func validate() throws {
        guard let program = command.first, !program.isEmpty else {
            throw ValidationError("Name the program after `--`, as in `petrel plugin test -- ./plugin.py`.")
        }
        guard (try? JSONValue.parse(settings.utf8)) != nil else { throw ValidationError("--settings is not JSON.") }
        guard environment.allSatisfy({ $0.utf8.first != 0x3D && $0.utf8.contains(0x3D) }) else {
            throw ValidationError("--env takes NAME=VALUE.")
        }
    }

    package func run() async throws {
        let launch = try launch()
        let logger = Logger(label: "plugin") { _ in PlugInLogHandler() }
        let role: Role
        do {
            if let known = self.role { role = known } else { role = try await guessedRole(launch, logger) }
        } catch {
            StandardStream.error.offer("\(error)\n")
            throw ExitCode(1)
        }
        var report = ConformanceReport(launch.name)
        report.entries += await ProtocolConformance.run(launch, isModule: role == .module, logger: logger)
        switch role {
        case .module: report.entries += await moduleEntries(launch, logger)
        case .backend: report.entries += await backendEntries(launch, logger)
        }
        print(json ? report.json.prettyText : report.text)
        if !report.failures.isEmpty { throw ExitCode(1) }
    }

    private func launch() throws -> PlugInLaunch {
        let folder = FileManager.default.currentDirectoryPath
        var command = command
        if command[0].utf8.contains(UInt8(ascii: "/")), command[0].utf8.first != UInt8(ascii: "/") {
            command[0] = "\(folder)/\(command[0])"
        }
        var variables: [String: String] = [:]
        for pair in environment {
            let parts = pair.utf8.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            variables["\(Substring(parts[0]))"] = "\(Substring(parts[1]))"
        }
        return PlugInLaunch(
            name: URL(fileURLWithPath: command.last ?? "plugin").deletingPathExtension().lastPathComponent,
            command: command, folder: folder, environment: variables, settings: try JSONValue.parse(settings.utf8),
            timeout: .seconds(10))
    }

    /// Asks the program what it is. A module declares commands.
    private func guessedRole(_ launch: PlugInLaunch, _ logger: Logger) async throws -> Role {
        let greeting: JSONValue
        do {
            greeting = try await PlugInRehearsal.greeting(of: launch, role: "module", logger: logger)
        } catch {
            _ = try await PlugInRehearsal.greeting(of: launch, role: "backend", logger: logger)
            return .backend
        }
        return greeting["commands"] == nil ? .backend : .module
    }

    private func moduleEntries(_ launch: PlugInLaunch, _ logger: Logger) async -> [ConformanceReport.Entry] {
        await ModuleConformance.run(launch.name, ModuleStage { ProcessModule(launch, $0) }).entries
    }

    private func backendEntries(_ launch: PlugInLaunch, _ logger: Logger) async -> [ConformanceReport.Entry] {
        let service: ProcessStage.Service?
        do { service = try await PlugInRehearsal.service(of: launch, logger: logger) } catch {
            let outcome = ConformanceOutcome(.failed("\(error)"))
            return [.init(id: "protocol.test", title: "The stand-in is described as required.", outcome: outcome)]
        }
        guard let service else {
            let outcome = ConformanceOutcome(.skipped("the program has no stand-in for its service"))
            return BackendConformance.cases.map { .init(id: $0.id, title: $0.title, outcome: outcome) }
        }
        return await BackendConformance.run(launch.name) { body in
            try await body(ProcessStage(launch, service, logger: logger))
        }.entries
    }
}

/// Writes what the program logs to standard error.
private struct PlugInLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { StandardStream.error.offer("\(event.message)\n") }
}
