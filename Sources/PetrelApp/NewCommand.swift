import ArgumentParser
import Foundation
import PetrelKit
import PetrelSupport
import PlugInTemplates

/// The command `petrel new`: the kinds of plug-ins are those of ``NewPlugIn``, which needs no name of its own.
struct NewCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new", abstract: "Write a plug-in, a script or a configuration to start from.",
        subcommands: [NewPlugIn.self, NewScript.self, NewConfig.self, NewCatOps.self], defaultSubcommand: NewPlugIn.self
    )
}

/// The command `petrel new module|backend`.
struct NewPlugIn: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plug-in",
        abstract: "Write a plug-in to start from, with tests and a configuration that runs it (the default).",
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

    @Option(
        help: """
            The package Petrel on which a package in Swift depends: a path or a URL (default: the checkout that contains \
            this program).
            """)
    var petrel: String?

    func validate() throws {
        guard let name = PlugInName(name) else {
            throw ValidationError(
                "'\(Printable.line(name))' is not a name for a plug-in: use 1 to \(PlugInName.maximumLength) of a-z, "
                    + "0-9, _ and -, beginning with a letter.")
        }
        if language == .swift { _ = try package }
        guard let obstacle = name.obstacle(in: language) ?? Catalog.current.use(of: name.text, for: kind) else {
            return
        }
        throw ValidationError("\(obstacle); choose another name, such as my-\(name.text.prefix(36)).")
    }

    func run() throws {
        guard let name = PlugInName(name) else { return }
        let template = try PlugInTemplate(
            kind, in: language, named: name, petrel: language == .swift ? package : .path(""))
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
        for command in template.commands(in: folder.path, program: CommandLine.arguments.first ?? "petrel") {
            print("  \(Printable.line(command.map(Self.quoted).joined(separator: " ")))")
        }
        print("\nThen \(hint(in: folder.path))")
    }

    private func hint(in folder: String) -> String {
        switch (kind, language) {
        case (.module, _): "type:\n  !\(name) tea 2"
        case (.backend, .python), (.backend, .swift):
            "chat with it in another terminal:\n  python3 \(Self.quoted(folder + "/client.py"))"
        case (.backend, .sh):
            "chat with it in another terminal:\n  echo '!help' >\(Self.quoted(folder + "/chat/in"))\n"
                + "  cat \(Self.quoted(folder + "/chat/out"))"
        }
    }

    /// The package on which a package in Swift depends.
    private var package: PetrelPackage {
        get throws {
            if let petrel, petrel.contains("://") || petrel.hasPrefix("git@") { return .url(petrel) }
            guard let path = petrel.map({ URL(fileURLWithPath: $0) }) ?? Self.ownCheckout else {
                throw ValidationError(
                    "This program is not in a checkout of Petrel; name the package with --petrel PATH or --petrel URL.")
            }
            guard Self.isCheckout(path) else {
                throw ValidationError("'\(Printable.line(path.path))' is not a checkout of Petrel.")
            }
            return .path(path.standardizedFileURL.resolvingSymlinksInPath().path)
        }
    }

    /// The checkout that contains the running program; nil if the program was installed elsewhere.
    private static var ownCheckout: URL? {
        guard var folder = Bundle.main.executableURL?.resolvingSymlinksInPath() else { return nil }
        while folder.pathComponents.count > 1 {
            folder.deleteLastPathComponent()
            if isCheckout(folder) { return folder }
        }
        return nil
    }

    private static func isCheckout(_ folder: URL) -> Bool {
        ["Package.swift", "Sources/PetrelKit", "Sources/petrel"].allSatisfy {
            FileManager.default.fileExists(atPath: folder.appendingPathComponent($0).path)
        }
    }

    /// Returns a word as a POSIX shell reads it.
    static func quoted(_ word: String) -> String {
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
    func use(of name: String, for kind: PlugInKind) -> String? {
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
