import ArgumentParser
import BuiltinsModule
import Foundation
import JobsModule
import PetrelCore
import PetrelKit
import PetrelSupport

/// The command `petrel script`.
struct ScriptCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "script", abstract: "Try the scripts of a configuration.", subcommands: [ScriptRun.self])
}

/// The command `petrel script run`.
struct ScriptRun: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a script without chat, and print its answer.",
        discussion: """
            The script receives what it would receive from a chat. Access rules are not evaluated. The exit status is \
            that of the script.
            """)

    @Option(help: "The configuration file.")
    var config = "config.json"

    @Option(help: "A folder of scripts, to use without a configuration.")
    var directory: String?

    @Option(help: "The name of the user who calls the command.")
    var user = "@\(NSUserName())"

    @Option(help: "The room of the call; a direct chat by default.")
    var room: String?

    @Argument(help: "The name of the script.")
    var name: String

    @Argument(parsing: .captureForPassthrough, help: "The arguments of the script.")
    var arguments: [String] = []

    func run() async throws {
        do {
            let trial = try trial()
            let place = room.map { Room(id: $0, name: $0) }
            let interruption = Interruption()
            await interruption.prepare()
            let outcome = try await trial.run(
                name, arguments, by: Person(id: user, name: user), in: place, until: interruption.signal)
            for reply in outcome.replies { print(Printable.text(reply)) }
            for note in outcome.notes { say(note) }
            if let number = interruption.number { throw ExitCode(128 + number) }
            if outcome.status != 0 { throw ExitCode(outcome.status) }
        } catch let code as ExitCode {
            throw code
        } catch {
            say("\(error)")
            throw ExitCode(78)
        }
    }

    private func say(_ text: String) {
        StandardStream.error.write("petrel: \(Printable.text(text))\n", within: .seconds(2))
    }

    /// Returns who has a command of this name besides the section `jobs`.
    private static func owner(ofCommand name: String) -> String? {
        let names = BuiltinsPlugIn([]).outlines.flatMap(\.commands)
        return names.contains { Command.key($0) == Command.key(name) } ? "Petrel" : nil
    }

    private func trial() throws -> ScriptTrial {
        let environment = ProcessInfo.processInfo.environment
        if let directory {
            let context = SettingsContext(
                folder: URL(fileURLWithPath: FileManager.default.currentDirectoryPath), environment: environment)
            let scripts: JSONValue = ["directory": .string(directory), "auth_strategy": "any"]
            return ScriptTrial(
                SettingsSection(["scripts": scripts], at: "jobs", in: context), owner: Self.owner(ofCommand:))
        }
        let (root, context) = try SettingsSection.root(ofFile: config, environment: environment)
        _ = CoreSettings(root)
        let trial = ScriptTrial(root.section("jobs"), owner: Self.owner(ofCommand:))
        let problems = context.problems.filter { $0.path.utf8.starts(with: "jobs.".utf8) }
        guard problems.isEmpty else { throw ConfigurationFailure(file: config, problems: problems) }
        return trial
    }
}
