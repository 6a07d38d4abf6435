package import PetrelKit
import PetrelSupport

/// The commands of the bot itself.
package struct BuiltinsModule: BotModule {
    /// `builtins`.
    package let name = "builtins"
    let host: ModuleHost

    /// Creates the module.
    package init(_ host: ModuleHost) {
        self.host = host
    }

    /// The names of the commands without arguments.
    package static let bareNames: Set = ["whoami", "status", "uptime", "version"]

    /// The names of the commands, which no other module can use.
    package static let names = ["help", "whoami", "status", "uptime", "version", "acl", "audit", "reload"]

    /// The commands.
    package var commands: [Command] {
        [
            Command("help", usage: "[-all] [command]", summary: "List the commands, or show one command.") {
                help(for: $0)
            },
            bare("whoami", "Show your identity and your room as access rules see them.") { whoami($0) },
            bare("status", "Show component status.") { _ in status() },
            bare("uptime", "Show uptime.") { _ in
                Reply("Petrel has been up for \(host.bot.uptime.inWords).")
            },
            bare("version", "Show the version.") { _ in Reply("Petrel \(host.bot.version)") },
            Command(
                "acl", usage: "why @user [#room] <command line>", summary: "Explain whether a user may run a command.",
                isAdminOnly: true, masking: { masked($0) }, handler: { try explain($0) }),
            Command(
                "audit", usage: "[-user @user] [-limit N] [-denied] [-status S]",
                summary: "Show the audit log: commands that ran or were denied, and jobs.",
                isAdminOnly: true, handler: { try await audit($0) }),
            Command(
                "reload", summary: "Read the configuration file again.", isAdminOnly: true, takesNoArguments: true,
                handler: { _ in try reload() }),
        ]
    }

    private func bare(_ name: String, _ summary: String, _ handler: @escaping Command.Handler) -> Command {
        Command(name, summary: summary, takesNoArguments: true, handler: handler)
    }

    private func help(for invocation: Invocation) -> Reply {
        let prefix = invocation.prefix
        let commands = host.help.commands(for: invocation)
        let (first, rest) = invocation.arguments.firstWord
        // Phones replace two hyphens by a dash.
        let isAll = ["-all", "--all", "—all"].contains { first.isKeyword($0) }
        let arguments = isAll ? rest : invocation.arguments
        guard !arguments.isEmpty else {
            let listed = commands.filter { isAll || !$0.isAuxiliary }
            let more = listed.count < commands.count ? ["\(prefix)help -all lists more commands."] : []
            let lines = listed.map { "\(prefix)\($0.heading) — \($0.summary)" }
            return Reply((lines + more).joined(separator: "\n"))
        }
        let wanted = arguments.hasPrefix(prefix) ? String(arguments.dropFirst(prefix.count)) : arguments
        let key = Command.key(wanted)
        if let command = commands.first(where: { Command.key($0.name) == key }) {
            let notes = [
                command.isAdminOnly ? "For administrators." : nil,
                command.isDirectOnly ? "In a direct chat only." : nil,
            ].compactMap { $0 }
            let lines = ["\(prefix)\(command.heading)", command.summary] + command.details + notes
            return Reply(lines.joined(separator: "\n"))
        }
        if let dash = wanted.unicodeScalars.first, ["-", "–", "—"].contains(dash) {
            return Reply("Unknown option \(wanted). The option is -all.", kind: .error)
        }
        let longer = commands.beginning(with: wanted)
        guard longer.isEmpty else {
            return Reply(longer.map { "\(prefix)\($0.heading) — \($0.summary)" }.joined(separator: "\n"))
        }
        let near = Nearness.nearest(to: wanted, among: commands.map(\.name))
        let hint = near.isEmpty ? "" : " Did you mean " + near.map { "\(prefix)\($0)" }.joined(separator: " or ") + "?"
        return Reply("Unknown command “\(wanted)”.\(hint)", kind: .error)
    }

    private func reload() throws -> Reply {
        guard let lines = host.configuration.reload() else {
            throw Refusal("The configuration of this bot does not come from a file.")
        }
        return Reply(lines.joined(separator: "\n"), isPrivate: true)
    }

    private func whoami(_ invocation: Invocation) -> Reply {
        let message = invocation.message
        let room = message.room.map { "\(Printable.line($0.name)) (id \(Printable.line($0.id)))" }
        let (name, id) = (Printable.line(message.sender.name), Printable.line(message.sender.id))
        var lines = [
            "You are \(name) (id \(id)) on \(invocation.address.backend).",
            "This is \(room ?? "a direct chat (room @\(host.bot.name))").",
        ]
        if let thread = message.thread { lines.append("The thread is \(Printable.line(thread)).") }
        if invocation.isAdmin { lines.append("You are an administrator.") }
        if !message.sender.isStable { lines.append("Your name here is not bound to an account.") }
        return Reply(lines.joined(separator: "\n"))
    }

    private func status() -> Reply {
        let lines = host.health.status().map { "\($0.isHealthy ? "ok  " : "FAIL") \($0.subject): \($0.detail)" }
        return Reply(
            (lines + ["Petrel \(host.bot.version), up for \(host.bot.uptime.inWords)"]).joined(separator: "\n"))
    }
}
