package import ArgumentParser
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import PlugInProtocol

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
    @Option(help: "The time limit for each expected event, in seconds.") var patience = 10
    @Flag(help: "Print the report as JSON.") var json = false
    @Argument(parsing: .postTerminator, help: "The program and its arguments.") var command: [String]

    package init() {}

    package func validate() throws {
        guard let program = command.first, !program.isEmpty else {
            throw ValidationError("Name the program after `--`, as in `petrel plugin test -- ./plugin.py`.")
        }
        guard (try? JSONValue.parse(settings.utf8)) != nil else { throw ValidationError("--settings is not JSON.") }
        guard (1...86_400).contains(patience) else {
            throw ValidationError("--patience must be from 1 to 86400 seconds.")
        }
        guard environment.allSatisfy({ $0.utf8.first != 0x3D && $0.utf8.contains(0x3D) }) else {
            throw ValidationError("--env takes NAME=VALUE.")
        }
    }

    package func run() async throws {
        let launch = try launch()
        let logger = Logger(label: "plugin") { _ in PlugInLogHandler() }
        let (role, greeting) = try await PlugInRehearsal.introduction(of: launch, as: role, logger: logger)
        let test = ProgramTest(launch, role, greeting, logger)
        let report = try await ConformancePatience.$limit.withValue(.seconds(patience)) {
            try await test.report { lines in
                guard !json else { return }
                // The report is the purpose of the command, which cannot succeed without it.
                guard await StandardStream.output.send(lines + "\n") == 0 else { throw ExitCode(1) }
            }
        }
        if json { print(report.json.prettyText) }
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
        // `python3 weather.py --units metric` is the plug-in `weather`.
        let script = command.dropFirst().first { FileManager.default.fileExists(atPath: $0) } ?? command[0]
        let name = URL(fileURLWithPath: script).deletingPathExtension().lastPathComponent
        let word = name.unicodeScalars.map { $0.properties.isWhitespace ? "-" : $0 }
        return PlugInLaunch(
            name: String(String.UnicodeScalarView(word)), command: command,
            folder: folder, environment: variables, settings: try JSONValue.parse(settings.utf8),
            timeout: .seconds(patience))
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
