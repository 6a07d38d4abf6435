import ArgumentParser
import Foundation
import PetrelCore
import PetrelKit
import PetrelSupport
import PlugInTemplates

/// The command `petrel new script`.
struct NewScript: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "script", abstract: "Write a script, which is a command, and its tests.",
        discussion: """
            Creates the files in the folder of scripts, and never overwrites anything. The name consists of at most \
            \(PlugInName.maximumLength) of a-z, 0-9, _ and -, and begins with a letter.
            """)

    @Argument(help: "The name of the command.")
    var name: String

    @Option(help: "The language of the script.")
    var language = ScriptLanguage.sh

    @Option(help: "The folder of scripts; by default that of config.json, or else scripts.")
    var to = Self.configuredFolder ?? "scripts"

    func validate() throws {
        guard let name = PlugInName(name) else {
            throw ValidationError(
                "'\(Printable.line(name))' is not a name for a script: use 1 to \(PlugInName.maximumLength) of a-z, "
                    + "0-9, _ and -, beginning with a letter.")
        }
        let own = name.text == "scripts" ? "`scripts` is the command that lists the scripts" : nil
        if let obstacle = own ?? Catalog.current.use(of: name.text, for: .module) {
            throw ValidationError("\(obstacle); choose another name, such as my-\(name.text.prefix(36)).")
        }
    }

    func run() throws {
        guard let name = PlugInName(name) else { return }
        if let obstacle = obstacle(to: name.text) {
            ExitStatus.say("\(obstacle), and nothing was changed; choose another name")
            throw ExitStatus.cannotCreate
        }
        let template = ScriptTemplate(language, named: name)
        try New.write(template.files, in: to)
        print("\nNext, test it, and try it without chat:")
        print("  \(New.shown(template.test(in: to)))")
        print(
            "  \(New.shown([CommandLine.arguments.first ?? "petrel", "script", "run", "--directory", to, name.text]))")
        let objections = objections
        for objection in objections { ExitStatus.say("warning: \(objection)") }
        guard objections.isEmpty else { return print("\nUntil this is changed, Petrel may not load the script.") }
        print("\nA running Petrel has the command at once, if jobs.scripts.directory is this folder.")
    }
}

extension NewScript {
    /// The warnings about the folder and its files that `petrel check` would show.
    private var objections: [String] {
        let scripts: JSONValue = ["directory": .string(to), "auth_strategy": "any"]
        let found: [SettingsProblem]
        do {
            found = try Configuration.read(["backends": ["text": [:]], "jobs": ["scripts": scripts]], .current).warnings
        } catch {
            found = error.problems
        }
        return found.filter { $0.path.utf8.starts(with: "jobs.scripts".utf8) }.map(\.message)
    }

    /// The configuration in this folder. One that cannot be read is reported by `petrel check`.
    private static var configurationFile: JSONValue? {
        FileManager.default.contents(atPath: "config.json").flatMap { try? JSONValue.parse($0) }
    }

    /// The folder of scripts of the configuration; nil if the configuration names no folder, or several.
    private static var configuredFolder: String? {
        let scripts = configurationFile?["jobs"]?["scripts"]
        let folder = (scripts?.array.flatMap { $0.count == 1 ? $0.first : nil } ?? scripts)?["directory"]?.string
        return folder.flatMap { $0.isBlank ? nil : $0 }
    }

    /// Returns the reason for which Petrel would not load a script of this name, as a clause; nil if it would.
    private func obstacle(to name: String) -> String? {
        let key = Command.key(name)
        // The folder may not exist yet.
        for file in ((try? FileManager.default.contentsOfDirectory(atPath: to)) ?? []).sorted() {
            let stem = file.utf8.split(separator: UInt8(ascii: "."), maxSplits: 1).first.map { String(Substring($0)) }
            if let stem, Command.key(stem) == key {
                return "\(to)/\(file), which makes the same command, already exists"
            }
        }
        guard let commands = Self.configurationFile?["jobs"]?["commands"]?.object else { return nil }
        return commands.keys.contains { Command.key($0) == key }
            ? "jobs.commands of config.json has a command \(name)" : nil
    }
}

/// The command `petrel new config`.
struct NewConfig: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Write a configuration with a chat in the terminal, a command and scripts.",
        discussion: "Creates config.json, a page about it, and the folder of scripts. It never overwrites anything.")

    @Option(help: "The folder in which to create the files.")
    var to = "."

    func run() throws {
        let user = NSUserName()
        let isPlain = !user.isEmpty && user.utf8.allSatisfy { (0x30...0x7A).contains($0) && $0 != 0x5C || $0 == 0x2D }
        try New.write(ConfigurationTemplate.files(user: isPlain ? user : "me"), in: to)
        let scripts = "\(to)/scripts"
        guard mkdir(scripts, 0o755) == 0 || errno == EEXIST else {
            ExitStatus.say("\(NewFolderFailure(to, errno))")
            throw ExitStatus.cannotCreate
        }
        let program = CommandLine.arguments.first ?? "petrel"
        let config = to == "." ? "config.json" : "\(to)/config.json"
        print("\nNext, write a script, check the configuration, and chat:")
        let folder = to == "." ? [] : ["--to", scripts]
        for command in [
            ["new", "script", "hello"] + folder, ["check", "--config", config], ["run", "--config", config],
        ] {
            print("  \(New.shown([program] + command))")
        }
        print("\nThen type:\n  !hello Ada\n  !disk\n  !help")
    }
}

/// The common parts of the commands below `petrel new`.
enum New {
    /// Writes files, and prints their paths.
    static func write(_ files: [PlugInFile], in folder: String) throws {
        do {
            try NewFiles(folder: folder).write(files)
        } catch {
            ExitStatus.say("\(error)")
            throw ExitStatus.cannotCreate
        }
        print("Created:")
        for file in files { print("  \(Printable.line(folder == "." ? file.path : "\(folder)/\(file.path)"))") }
    }

    /// Returns a command as a POSIX shell reads it.
    static func shown(_ command: [String]) -> String {
        Printable.line(command.map(NewPlugIn.quoted).joined(separator: " "))
    }
}

extension ScriptLanguage: ExpressibleByArgument {}
