package import PetrelKit
import PetrelSupport

/// An immutable table of the commands of all modules, so that a lookup takes no lock.
package struct CommandTable: Sendable {
    /// A command and its module.
    package struct Entry: Sendable {
        /// The name of the module.
        package var module: String
        /// The command.
        package var command: Command
        /// The registered name, and its variants with `_` and with spaces.
        fileprivate var names: [String]

        fileprivate init(_ module: String, _ command: Command, key: String) {
            self.module = module
            self.command = command
            let others = [key, key.replacing(" ", with: "_")].filter { $0 != command.name.lowercased() }
            names = key.contains(" ") ? [command.name] + others : [command.name]
        }

        /// Returns the line as access rules see it, with each variant of the name.
        func lines(_ arguments: String) -> [String] {
            let rest = CommandText.line(of: arguments)
            if rest.isEmpty { return names }
            return names.map { $0.isEmpty ? rest : "\($0) \(rest)" }
        }
    }

    /// A command and its arguments in a line.
    package struct Match: Sendable {
        /// The command.
        package var entry: Entry
        /// The text after the name.
        package var arguments: String
        /// The line as access rules see it, with each variant of the name.
        package var lines: [String]

        fileprivate init(_ entry: Entry, _ arguments: String) {
            self.entry = entry
            self.arguments = arguments
            lines = entry.lines(arguments)
        }

        /// Parses the arguments.
        package func parsed(with values: [String: String]? = nil) -> Parsed {
            Parsed(match: self, line: entry.command.parse?(arguments, values))
        }

        func readings(_ readings: [LineReading]) -> [AccessControl.Reading] {
            readings.map { reading in
                switch reading {
                case .text(let text): .lines(entry.lines(text))
                case .part(let text): .part(entry.lines(text))
                case .unforeseeable: .unforeseeable
                }
            }
        }
    }

    /// A line with parsed arguments, which access rules, the audit log and the handler use.
    package struct Parsed: Sendable {
        /// The command and the arguments.
        package var match: Match
        /// The parsed arguments; nil if the command has no parser.
        package var line: ParsedLine?

        /// Creates a parsed line.
        package init(match: Match, line: ParsedLine?) {
            self.match = match
            self.line = line
        }

        /// The further interpretations of the arguments.
        package var readings: [AccessControl.Reading] { match.readings(line?.readings() ?? []) }

        /// The line with its secrets masked.
        package var masked: String {
            let arguments = line?.masked ?? match.entry.command.masking?(match.arguments)
            guard let arguments, !arguments.utf8.elementsEqual(match.arguments.utf8) else { return match.lines[0] }
            return match.entry.lines(arguments)[0]
        }
    }

    /// A name of a command that cannot be called by it, because a command of another module has the name.
    package struct Conflict: Sendable, Hashable {
        /// The module of the command.
        package var module: String
        /// The name, as the module spells it.
        package var name: String
        /// The module whose command is called by the name.
        package var owner: String
    }

    /// The commands, in the order of their modules.
    package private(set) var entries: [Entry] = []
    /// The names that several modules have, in the order of the modules.
    package private(set) var conflicts: [Conflict] = []
    private var byName: [String: Int] = [:]
    private var longest = 0
    /// The first words of the names of commands that may have secrets in their arguments.
    private var secretive: Set<String> = []

    /// Creates a table. A command whose name is taken is left out.
    package init(_ commands: [(module: String, command: Command)] = []) {
        for (module, command) in commands {
            guard claims(command.name, for: module) else { continue }
            for name in command.otherNames { _ = claims(name, for: module) }
            entries.append(Entry(module, command, key: Command.key(command.name)))
            guard command.parse != nil || command.masking != nil else { continue }
            for name in [command.name] + command.otherNames { secretive.insert(Command.key(name).firstWord.word) }
        }
    }

    /// Returns true if a word begins the name of a command that may have secrets in its arguments.
    func startsNameWithSecrets(_ word: String) -> Bool { secretive.contains(Command.key(word).firstWord.word) }

    /// Returns the name of the module that has a command of this name, or of this other name; nil if no module has it.
    package func module(having command: String) -> String? {
        byName[Command.key(command)].map { entries[$0].module }
    }

    /// Assigns a name to the next entry. Returns false if an entry has the name, which is a conflict if that belongs to
    /// another module.
    private mutating func claims(_ name: String, for module: String) -> Bool {
        let key = Command.key(name)
        if let index = byName[key] {
            let owner = index < entries.count ? entries[index].module : module
            if owner != module { conflicts.append(Conflict(module: module, name: name, owner: owner)) }
            return false
        }
        byName[key] = entries.count
        longest = max(longest, key.isEmpty ? 0 : key.split(separator: " ").count)
        return true
    }

    /// Returns the command with the longest name that a text begins with. The name ends at white space or at the end.
    package func find(_ text: String) -> Match? {
        var words: [(key: String, end: String.Index)] = []
        var key = ""
        let scalars = text.unicodeScalars
        var rest = scalars[...]
        while words.count < longest {
            rest = rest.drop { $0.isSeparator }
            let end = rest.firstIndex { $0.isSeparator } ?? rest.endIndex
            if end == rest.startIndex { break }
            key += (key.isEmpty ? "" : " ") + Command.key(text[rest.startIndex..<end])
            rest = rest[end...]
            words.append((key, end))
        }
        for word in words.reversed() {
            if let index = byName[word.key] {
                // `status of web` may be meant for the command with the empty name.
                let isOnlyName = text[word.end...].isBlank
                if entries[index].command.takesNoArguments, !isOnlyName, byName[""] != nil { continue }
                return Match(entries[index], CommandText.plain(text[word.end...]))
            }
        }
        return byName[""].map { Match(entries[$0], text) }
    }
}

/// The current commands of all modules.
package final class CommandRegistry: Sendable {
    private struct State {
        var order: [String] = []
        var commands: [String: [Command]] = [:]
        var table = CommandTable()
    }

    private let state = Locked(State())

    /// Creates an empty registry.
    package init() {}

    /// The current table.
    package var table: CommandTable { state.withLock { $0.table } }

    /// Replaces the commands of a module in one step. Returns the conflicts that did not exist before.
    @discardableResult
    package func publish(_ commands: [Command], from module: String) -> [CommandTable.Conflict] {
        state.withLock { state in
            if state.commands.updateValue(commands, forKey: module) == nil { state.order.append(module) }
            let all = state.order.flatMap { module in state.commands[module, default: []].map { (module, $0) } }
            let old = Set(state.table.conflicts)
            state.table = CommandTable(all)
            return state.table.conflicts.filter { !old.contains($0) }
        }
    }
}
