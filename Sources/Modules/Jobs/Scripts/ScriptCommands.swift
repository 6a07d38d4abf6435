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
            base.command(
                Self.name, "[pattern]", "Show the scripts, and the files that are not loaded.", isAdminOnly: true
            ) { list($0) }
        ]
    }

    /// Lists the problems first, because the list of a large folder is cut.
    private func list(_ invocation: Invocation) -> Reply {
        let pattern = invocation.arguments
        let definitions = scripts.definitions.filter { pattern.isEmpty || ScriptSettings.matches($0.name, pattern) }
        let problems = scripts.problems.filter { pattern.isEmpty || Self.isAbout(pattern, $0) }
        var lines: [String] = []
        if !problems.isEmpty { lines.append("\(problems.count) with problems:") }
        lines += Self.cut(problems.map { "- \($0.line)" })
        let folders = scripts.directories.joined(separator: ", ")
        lines.append("\(definitions.count) loaded from \(folders)" + (pattern.isEmpty ? "" : " match \(pattern)"))
        lines += Self.cut(
            definitions.map { definition in
                let path = definition.script?.shownPath ?? definition.program
                let summary = definition.help.summary
                return "- \(definition.name) (\(Printable.visible(path)))" + (summary.isEmpty ? "" : ": \(summary)")
            })
        return base.answer(invocation, lines.joined(separator: "\n"), isPrivate: true)
    }

    private static func isAbout(_ pattern: String, _ problem: ScriptProblem) -> Bool {
        let file = problem.path.utf8.split(separator: UInt8(ascii: "/")).last.map { String(Substring($0)) } ?? ""
        return ScriptSettings.matches(ScriptFile.name(of: file) ?? file, pattern)
    }

    private static func cut(_ lines: [String]) -> [String] {
        if lines.count <= most { return lines }
        return lines.prefix(most) + ["… and \(lines.count - most) more; add a pattern, such as db-*"]
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
        if let reason = scripts.pollingReason { detail += "; changes are looked for every two seconds: \(reason)" }
        return StatusLine("scripts", isHealthy: problems.isEmpty, detail)
    }
}
