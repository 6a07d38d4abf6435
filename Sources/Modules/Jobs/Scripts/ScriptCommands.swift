import PetrelKit
import PetrelSupport

/// The built-in command about scripts.
struct ScriptCommands: Sendable {
    /// The name of the command, without the prefix of the settings.
    static let name = "scripts"
    /// The maximum number of lines of each list.
    private static let most = 100

    let base: JobCommands
    let scripts: ScriptLibrary

    /// The command; none without a folder of scripts.
    var commands: [Command] {
        guard scripts.isActive else { return [] }
        return [
            base.command(Self.name, "", "Show the scripts, and the files that are not loaded.", isAdminOnly: true) {
                list($0)
            }
        ]
    }

    private func list(_ invocation: Invocation) -> Reply {
        let (definitions, problems) = (scripts.definitions, scripts.problems)
        var lines = ["\(definitions.count) loaded from \(scripts.directories.joined(separator: ", "))"]
        lines += definitions.prefix(Self.most).map { definition in
            let path = definition.script?.shownPath ?? definition.program
            let summary = definition.help.summary
            return "- \(definition.name) (\(Printable.line(path)))" + (summary.isEmpty ? "" : ": \(summary)")
        }
        if definitions.count > Self.most { lines.append("… and \(definitions.count - Self.most) more") }
        if !problems.isEmpty { lines.append("\(problems.count) with problems:") }
        lines += problems.prefix(Self.most).map { "- \($0.line)" }
        if problems.count > Self.most { lines.append("… and \(problems.count - Self.most) more") }
        return base.answer(invocation, lines.joined(separator: "\n"), isPrivate: true)
    }
}

extension JobCenter {
    /// Returns who has a command of this name besides the scripts, as a phrase; nil if the name is free.
    func owner(ofCommand name: String) -> String? {
        if let owner = settings.owner(ofCommand: name) { return owner }
        guard let module = host.commands.module(having: name), module != host.module else { return nil }
        return module == "builtins" ? "Petrel" : "the module \(module)"
    }

    /// Looks at the folders of scripts, unless that was done with the current settings.
    func loadScripts() { scripts.loadOnce { owner(ofCommand: $0) } }

    /// Keeps the scripts up to date, until it is cancelled.
    func watchScripts(publish: @Sendable () -> Void) async {
        await scripts.run({ self.owner(ofCommand: $0) }, publish: publish)
    }

    /// Returns a line of the status about the scripts; nil if there is no folder of them.
    var scriptStatus: StatusLine? {
        guard scripts.isActive else { return nil }
        let problems = scripts.problems
        var detail = "\(scripts.definitions.count) loaded"
        if let first = problems.first { detail += ", \(problems.count) with problems, such as \(first.line)" }
        if scripts.isPolling { detail += "; changes are noticed within a few seconds" }
        return StatusLine("scripts", isHealthy: problems.isEmpty, detail)
    }
}
