import Foundation
import PetrelKit
import PetrelSupport

/// The settings of a folder of scripts: the section `jobs.scripts`, or one of a list.
struct ScriptSettings: Sendable {
    /// The folder.
    var directory: String
    /// The patterns of the names that are loaded; empty for all.
    var allow: [String] = []
    /// The patterns of the names that are not loaded.
    var deny: [String] = []
    /// The definition from which that of each command is made.
    var template: CommandDefinition

    /// Returns the definition of the command of a file.
    func definition(of file: ScriptFile, _ help: ScriptHelp) -> CommandDefinition {
        var definition = template
        definition.name = file.name
        definition.program = file.path
        definition.script = file
        definition.answer = help.answer ?? definition.answer
        definition.help = CommandDefinition.Help(
            summary: help.summary, arguments: help.arguments, examples: help.examples, suggestions: help.suggestions)
        return definition
    }

    /// Returns whether the settings permit a command of this name.
    func permits(_ name: String) -> Bool {
        (allow.isEmpty || allow.contains { Self.matches(name, $0) }) && !deny.contains { Self.matches(name, $0) }
    }

    /// Returns whether a pattern has a set of characters without an end. A `]` at its beginning is one of the characters.
    private static func isUnclosed(_ pattern: String) -> Bool {
        var rest = Array(pattern.unicodeScalars)[...]
        while let scalar = rest.popFirst() {
            if scalar == "\\" { _ = rest.popFirst() }
            guard scalar == "[" else { continue }
            if let first = rest.first, ["!", "^"].contains(first) { rest.removeFirst() }
            guard let end = rest.dropFirst().firstIndex(of: "]") else { return true }
            rest = rest[(end + 1)...]
        }
        return false
    }

    /// Compares as names of commands are compared: without case, with `_` as a space, and by characters.
    static func matches(_ name: String, _ pattern: String) -> Bool {
        let pattern = folded(pattern)
        return fnmatch(pattern, folded(name), 0) == 0 || fnmatch(pattern, composed(Command.key(name)), 0) == 0
    }

    private static func folded(_ text: String) -> String {
        let scalars = text.lowercased().unicodeScalars.filter { !$0.isInvisible }.map { $0 == "_" ? " " : $0 }
        return composed(String(String.UnicodeScalarView(scalars)))
    }

    /// Returns a text in the form in which equal characters are equal bytes.
    private static func composed(_ text: String) -> String { text.precomposedStringWithCanonicalMapping }
}

extension ScriptSettings {
    /// Reads a section, and reports every error to it.
    init(_ section: SettingsSection, _ format: ReplyFormat, _ groups: [String: [String]]) {
        let given = section.requiredString("directory")
        if section.contains("directory"), given.isBlank { section.problem("directory", "must not be empty") }
        if given.utf8.contains(0) { section.problem("directory", "must not contain a NUL character") }
        directory = section.path(of: given)
        var template = CommandDefinition(all: "scripts", of: section, format, groups)
        template.answer = section.choice("answer", default: .json)
        template.hasInput = section.choice("stdin", default: CommandInput.json) == .json
        template.environment = CommandDefinition.environment(section)
        template.folder = section.file("cwd") ?? directory
        if let folder = template.folder, folder != directory {
            var isFolder: ObjCBool = false
            if !FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder) {
                section.warn("cwd", "the folder \(folder) does not exist")
            } else if !isFolder.boolValue {
                section.problem("cwd", "\(folder) is not a folder")
            }
        }
        self.template = template
        allow = section.strings("allow")
        deny = section.strings("deny")
        if section.contains("allow"), allow.isEmpty { section.warn("allow", "is empty, so all scripts are loaded") }
        section.finish()
        review(section)
    }

    private func review(_ section: SettingsSection) {
        for (key, patterns) in [("allow", allow), ("deny", deny)] {
            for (index, pattern) in patterns.enumerated() where Self.isUnclosed(pattern) {
                section.problem("\(key)[\(index)]", "contains [ without ]; write [[] for the character [ itself")
            }
        }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: directory, isDirectory: &isFolder) else {
            return section.warn("directory", "the folder \(directory) does not exist; create it with mkdir")
        }
        guard isFolder.boolValue else { return section.problem("directory", "\(directory) is not a folder") }
        let problems = ScriptScan(self).problems
        for problem in problems.prefix(20) { section.warn("directory", problem.line) }
        if problems.count > 20 { section.warn("directory", "\(problems.count - 20) more files are not loaded") }
    }
}
