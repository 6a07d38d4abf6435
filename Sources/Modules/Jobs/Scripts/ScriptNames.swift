import PetrelKit
import PetrelSupport

/// The names of scripts, which must be unique.
struct ScriptNames {
    private let files: [String: [ScriptFile]]

    init(_ files: [ScriptFile]) { self.files = Dictionary(grouping: files) { Command.key($0.name) } }

    /// Returns the reason for which a file makes no command; nil if it makes one.
    /// - Parameter owner: Returns who has a command of this name, as a phrase; nil if the name is free.
    func problem(of file: ScriptFile, _ owner: (String) -> String?) -> ScriptProblem? {
        let others = files[Command.key(file.name), default: []].map(\.shownPath).filter { $0 != file.shownPath }
        if files[Command.key(file.name), default: []].count > 1 {
            let names = others.isEmpty ? "a file in another folder" : others.joined(separator: ", ")
            return ScriptProblem(
                path: file.shownPath, reason: "\(names) has the same name; none of them is loaded")
        }
        return owner(file.name).map {
            ScriptProblem(path: file.shownPath, reason: "\($0) has a command \(file.name); rename the file")
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
