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
        let others = files[Command.key(file.name), default: []].filter { $0.path != file.path }
        if !others.isEmpty {
            let names = others.map(shown).joined(separator: ", ")
            return ScriptProblem(path: shown(file), reason: "\(names) has the same name; none of them is loaded")
        }
        return owner(file.name).map {
            ScriptProblem(path: shown(file), reason: "\($0) has a command \(file.name); rename the file")
        }
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
            names.problem(of: file) { owner(ofCommand: $0) ?? owners[Command.key($0)] }
        }
    }
}
