import PetrelKit
import PetrelSupport

/// The names of scripts, which must be unique.
struct ScriptNames {
    private let files: [String: [ScriptFile]]
    /// True if the files are in several folders of scripts, so that their paths below those are ambiguous.
    private let areSpread: Bool

    init(_ files: [ScriptFile]) {
        self.files = Dictionary(grouping: files) { Command.key($0.name) }
        let folders = files.map { String($0.path.unicodeScalars.dropLast($0.shownPath.unicodeScalars.count)) }
        areSpread = Set(folders).count > 1
    }

    private func shown(_ file: ScriptFile) -> String { areSpread ? file.path : file.shownPath }

    /// Returns the reason for which a file makes no command; nil if it makes one.
    /// - Parameter owner: Returns who has a command of this name, as a phrase; nil if the name is free.
    func problem(of file: ScriptFile, _ owner: (String) -> String?) -> ScriptProblem? {
        let others = files[Command.key(file.name), default: []].filter { $0 != file }
        if !others.isEmpty {
            // Equal texts are the same characters, which may be different bytes.
            let names = others.map { $0.path == file.path ? "another Unicode form of the name" : shown($0) }
            let list = names.joined(separator: ", ")
            let verb = names.count == 1 ? "has" : "have"
            return ScriptProblem(path: shown(file), reason: "\(list) \(verb) the same name; none of them is loaded")
        }
        if let owner = owner(file.name) {
            return ScriptProblem(path: shown(file), reason: "\(owner) has a command \(file.name); rename the file")
        }
        // The command with the longest name is called, so `acl_why` would be called in place of `acl` with `why`.
        for name in Command.beginnings(of: file.name) {
            guard let owner = owner(name) else { continue }
            return ScriptProblem(
                path: shown(file),
                reason: "\(owner) has a command \(name), whose arguments it would take; rename the file")
        }
        return nil
    }
}

extension ScriptNames {
    /// Returns the remark about a file whose name begins with that of another one and a word, because `_` in the name of a
    /// command is the same as a space; nil for other files.
    func overlap(of file: ScriptFile) -> ScriptProblem? {
        for name in Command.beginnings(of: file.name) {
            guard let other = files[name]?.first else { continue }
            return ScriptProblem(
                path: shown(file),
                reason: "“\(Command.key(file.name))” calls it, and not \(shown(other)) with an argument")
        }
        return nil
    }
}

extension JobsSettings {
    /// Returns who has a command of this name in the section itself, as a phrase; nil if the name is free.
    func owner(ofCommand name: String) -> String? {
        let key = Command.key(name)
        if commands.contains(where: { Command.key($0.name) == key }) { return "the section jobs.commands" }
        let builtIn = (JobCommands.names + [ScriptCommands.name]).map { prefix.isEmpty ? $0 : "\(prefix) \($0)" }
        return builtIn.contains { Command.key($0) == key } ? "Petrel" : nil
    }

    /// Returns the files whose names are taken, for `petrel check`.
    /// - Parameter others: The commands of other modules, with who has them as a phrase.
    func takenNames(_ others: [(name: String, owner: String)]) -> [ScriptProblem] {
        let files = scripts.flatMap { ScriptScan($0).files }
        let names = ScriptNames(files)
        let owners = Dictionary(others.map { (Command.key($0.name), $0.owner) }) { first, _ in first }
        return files.compactMap { file in
            names.problem(of: file) { owner(ofCommand: $0) ?? owners[Command.key($0)] } ?? names.overlap(of: file)
        }
    }
}

extension Command {
    /// Returns the names that consist of the first words of a name of several words, the longest one first. `_` separates
    /// words, as in ``key(_:)``.
    static func beginnings(of name: String) -> [String] {
        let words = key(name).unicodeScalars.split(separator: " ").map { String(String.UnicodeScalarView($0)) }
        guard words.count > 1 else { return [] }
        return (1..<words.count).reversed().map { words.prefix($0).joined(separator: " ") }
    }
}
