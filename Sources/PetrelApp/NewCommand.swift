import ArgumentParser
import Foundation
import PetrelKit
import PetrelSupport
import PlugInTemplates

/// The command `petrel new`.
struct NewCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new",
        abstract: "Write a plug-in to start from, with tests and a configuration that runs it.",
        discussion: """
            Creates the folder NAME, and never overwrites anything. The name consists of at most \
            \(PlugInName.maximumLength) of a-z, 0-9, _ and -, and begins with a letter.
            """)

    @Argument(help: "The kind of the plug-in.")
    var kind: PlugInKind

    @Argument(help: "The name of the plug-in.")
    var name: String

    @Option(help: "The language of the plug-in.")
    var language = PlugInLanguage.python

    @Option(help: "The folder in which to create the folder of the plug-in.")
    var to = "."

    func validate() throws {
        guard let name = PlugInName(name) else {
            throw ValidationError(
                "'\(Printable.line(name))' is not a name for a plug-in: use 1 to \(PlugInName.maximumLength) of a-z, "
                    + "0-9, _ and -, beginning with a letter.")
        }
        guard let obstacle = name.obstacle(in: language) ?? Catalog.current.use(of: name.text, for: kind) else {
            return
        }
        throw ValidationError("\(obstacle); choose another name, such as my-\(name.text.prefix(36)).")
    }

    func run() throws {
        guard let name = PlugInName(name) else { return }
        let template = PlugInTemplate(kind, in: language, named: name)
        let folder = NewFolder(name: name.text, parent: to)
        let files = template.files
        do {
            try folder.write(files)
        } catch {
            ExitStatus.say("\(error)")
            throw ExitStatus.cannotCreate
        }
        print("Created \(Printable.line(folder.path)):")
        for file in files { print("  \(file.path)") }
        print("\nNext, test it, check its configuration, and run the bot:")
        for command in nextCommands(template, in: folder.path) { print("  \(Printable.line(command))") }
        print("\nThen \(hint(template, in: folder.path))")
    }

    private func nextCommands(_ template: PlugInTemplate, in folder: String) -> [String] {
        let test = template.testCommand
        let config = folder + "/config.json"
        let program = CommandLine.arguments.first ?? "petrel"
        return [
            test.dropLast() + [folder + "/" + (test.last ?? "")], [program, "check", "--config", config],
            [program, "run", "--config", config],
        ].map { $0.map(Self.quoted).joined(separator: " ") }
    }

    private func hint(_ template: PlugInTemplate, in folder: String) -> String {
        switch (kind, language) {
        case (.module, _): "type:\n  !\(name) tea 2"
        case (.backend, .python): "chat with it in another terminal:\n  python3 \(Self.quoted(folder + "/client.py"))"
        case (.backend, .sh):
            "chat with it in another terminal:\n  echo '!help' >\(Self.quoted(folder + "/chat/in"))\n"
                + "  cat \(Self.quoted(folder + "/chat/out"))"
        }
    }

    /// Returns a word as a POSIX shell reads it.
    private static func quoted(_ word: String) -> String {
        let isPlain = word.utf8.allSatisfy {
            (0x2B...0x3A).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x5F
        }
        return isPlain && !word.isEmpty ? word : "'" + word.replacingOccurrences(of: "'", with: "'\\''") + "'"
    }
}

extension PlugInKind: ExpressibleByArgument {}
extension PlugInLanguage: ExpressibleByArgument {}

extension Catalog {
    /// Returns the reason for which a new plug-in cannot have a name that the program itself uses; nil if it can.
    fileprivate func use(of name: String, for kind: PlugInKind) -> String? {
        guard !name.utf8.elementsEqual("petrel".utf8) else { return "'petrel' is the name of Petrel's own files" }
        switch kind {
        case .backend:
            return backend(of: name).map { _ in "'\(name)' is a kind of backend of Petrel" }
        case .module:
            let context = SettingsContext(folder: URL(fileURLWithPath: "/"), environment: [:])
            let outlines = modules.flatMap { plugIn in
                plugIn.init(plugIn.section.map { [SettingsSection([:], at: $0, in: context)] } ?? []).outlines
            }
            let names = outlines.map(\.name) + outlines.flatMap(\.commands).compactMap { $0.firstWord.0 }
            return names.contains { $0.utf8.elementsEqual(name.utf8) }
                ? "'\(name)' is a module or a command of Petrel" : nil
        }
    }
}
