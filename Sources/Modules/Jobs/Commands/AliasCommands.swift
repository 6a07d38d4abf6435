import PetrelKit
import PetrelSupport

/// The built-in commands about aliases.
struct AliasCommands: Sendable {
    let base: JobCommands
    let aliases: Aliases
    /// The maximum number of bytes of a line.
    private static let longest = 1_000
    /// The number of scalars of a list, in which each line has its share.
    private static let longestList = 8_000
    /// The names that no alias may hide, because an alias could not be removed otherwise.
    private static let protected: Set<String> = ["alias", "unalias", "aliases"]

    private var center: JobCenter { base.center }

    var commands: [Command] {
        var alias = base.command("alias", "<name> <command> [arguments]", "Add an alias for a command.") {
            try await set($0)
        }
        alias.masking = { masked($0) }
        return [
            alias,
            base.command("unalias", "<name>", "Delete an alias.") { try await delete($0) },
            base.command("aliases", "", "List your aliases.") { list($0) },
        ]
    }

    /// Returns the arguments of `alias` with the secrets of the line in them masked.
    private func masked(_ arguments: String) -> String {
        let (name, line) = arguments.firstWord
        return line.isEmpty ? name : "\(name) \(center.host.rules.masked(line))"
    }

    private func set(_ invocation: Invocation) async throws -> Reply {
        let (typedName, line) = invocation.arguments.firstWord
        // People write names and commands as they type them elsewhere.
        let name = bare(typedName, invocation)
        guard !name.isEmpty, !line.isEmpty else {
            throw Refusal("An alias requires at least two arguments: the alias and the command.")
        }
        if Self.protected.contains(Command.key(name)) { throw Refusal("“\(name)” cannot be an alias.") }
        if let problem = JobsSettings.problem(ofName: name) { throw Refusal("“\(name)” \(problem).") }
        let command = bare(line, invocation)
        guard !command.isBlank else { throw Refusal("The command of the alias is empty.") }
        guard command.utf8.count <= Self.longest else {
            throw Refusal(
                "The command of an alias has at most \(Self.longest) bytes, and this one has \(command.utf8.count).")
        }
        if name.unicodeScalars.contains(where: { "\"'`“”‘’".unicodeScalars.contains($0) }) {
            throw Refusal("“\(name)” is not a name: use one word without quotation marks.")
        }
        let (person, backend) = (invocation.message.sender, invocation.address.backend)
        guard try await aliases.set(name, to: command, of: person, on: backend) else {
            throw Refusal("You have \(Aliases.most) aliases already. Delete one first.")
        }
        let names = center.host.help.commands(for: invocation).map { Command.key($0.name) }
        var warnings: [String] = []
        if names.contains(Command.key(name)) {
            let removal = invocation.typed(center.line("unalias \(name)"))
            warnings.append("Warning: it hides the command \(name) from you, until you delete it with \(removal).")
        }
        let caller = CommandCaller(invocation)
        if center.host.rules.decision(on: command, by: caller.person, in: caller.room, on: backend) == nil {
            warnings.append("Warning: there is no such command at the moment.")
        }
        if let warning = center.warning(aboutStored: command, of: caller) { warnings.append(warning) }
        return base.answer(invocation, "alias created successfully", notice: warnings.map { "\n\($0)" }.joined())
    }

    /// Returns a text without the prefix of the bot.
    private func bare(_ text: String, _ invocation: Invocation) -> String {
        let prefix = invocation.prefix
        guard !prefix.isEmpty, text.utf8.starts(with: prefix.utf8) else { return text }
        return String(text.unicodeScalars.dropFirst(prefix.unicodeScalars.count))
    }

    private func delete(_ invocation: Invocation) async throws -> Reply {
        let (typedName, rest) = invocation.arguments.firstWord
        let name = bare(typedName, invocation)
        guard !name.isEmpty, rest.isEmpty else {
            throw Refusal("unalias requires only one argument: the alias to delete.")
        }
        let (person, backend) = (invocation.message.sender, invocation.address.backend)
        guard try await aliases.set(name, to: nil, of: person, on: backend) else {
            throw Refusal("The alias \(name) was not found.")
        }
        return base.answer(invocation, "alias deleted successfully\n" + lines(of: person, on: backend))
    }

    private func list(_ invocation: Invocation) -> Reply {
        base.answer(invocation, lines(of: invocation.message.sender, on: invocation.address.backend))
    }

    private func lines(of person: Person, on backend: String) -> String {
        let all = aliases.all(of: person, on: backend).sorted { $0.key < $1.key }
        if all.isEmpty { return "No alias could be found" }
        let share = min(Self.longestList / all.count, 200)
        return all.map { "- \($0.key.replacing(" ", with: "_")) - \(short(Printable.line(shown($0.value)), share))" }
            .joined(separator: "\n")
    }

    private func short(_ line: String, _ count: Int) -> String {
        let scalars = line.unicodeScalars
        return scalars.count > count ? String(scalars.prefix(count)) + "…" : line
    }

    /// Returns a stored line as it was typed, or with its secrets masked, which are shown to nobody.
    private func shown(_ line: String) -> String {
        let masked = center.host.rules.masked(line)
        return masked.words == line.words ? line : masked
    }
}
