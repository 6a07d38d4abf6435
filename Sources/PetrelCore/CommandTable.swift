package import PetrelKit
import PetrelSupport

/// All commands at one moment. A value: looking a command up takes no lock.
package struct CommandTable: Sendable {
    package struct Entry: Sendable {
        package var module: String
        package var command: Command
        /// The name as it was registered; where it has a `_` or a space, once more with the other.
        fileprivate var names: [String]

        fileprivate init(_ module: String, _ command: Command, key: String) {
            self.module = module
            self.command = command
            let others = [key, key.replacing(" ", with: "_")].filter { $0 != command.name.lowercased() }
            names = key.contains(" ") ? [command.name] + others : [command.name]
        }

        /// The line as access rules see it: whatever the case of the name when it was typed.
        fileprivate func lines(_ arguments: String) -> [String] {
            let rest = CommandText.line(of: arguments)
            if rest.isEmpty { return names }
            return names.map { $0.isEmpty ? rest : "\($0) \(rest)" }
        }
    }

    package struct Match: Sendable {
        package var entry: Entry
        package var arguments: String
        /// The line as access rules see it, with each way to write its name.
        package var lines: [String]

        fileprivate init(_ entry: Entry, _ arguments: String) {
            self.entry = entry
            self.arguments = arguments
            lines = entry.lines(arguments)
        }

        /// Has the command read its arguments.
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

    /// A line whose command has read its arguments: what is judged, kept and run.
    package struct Parsed: Sendable {
        package var match: Match
        package var line: ParsedLine?

        package init(match: Match, line: ParsedLine?) {
            self.match = match
            self.line = line
        }

        /// What the arguments amount to besides.
        package var readings: [AccessControl.Reading] { match.readings(line?.readings() ?? []) }

        /// The line as the audit may keep it.
        package var masked: String {
            let arguments = line?.masked ?? match.entry.command.masking?(match.arguments)
            guard let arguments, !arguments.utf8.elementsEqual(match.arguments.utf8) else { return match.lines[0] }
            return match.entry.lines(arguments)[0]
        }
    }

    package private(set) var entries: [Entry] = []
    private var byName: [String: Int] = [:]
    private var longest = 0

    package init(_ commands: [(module: String, command: Command)] = []) {
        for (module, command) in commands {
            let key = Command.key(command.name)
            guard byName[key] == nil else { continue }
            for key in [key] + command.otherNames.map({ Command.key($0) }) where byName[key] == nil {
                byName[key] = entries.count
                longest = max(longest, key.isEmpty ? 0 : key.split(separator: " ").count)
            }
            entries.append(Entry(module, command, key: key))
        }
    }

    /// The command with the longest name that starts the text. The name ends at white space or at the end.
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
                // `status of web` may be for whoever takes every line.
                let isOnlyName = text[word.end...].isBlank
                if entries[index].command.takesNoArguments, !isOnlyName, byName[""] != nil { continue }
                return Match(entries[index], CommandText.plain(text[word.end...]))
            }
        }
        return byName[""].map { Match(entries[$0], text) }
    }
}

/// The commands of every module; publishing replaces one module's in one step.
package final class CommandRegistry: Sendable {
    private struct State {
        var order: [String] = []
        var commands: [String: [Command]] = [:]
        var table = CommandTable()
    }

    private let state = Locked(State())

    package init() {}

    package var table: CommandTable { state.withLock { $0.table } }

    /// Returns the names that another module has already: those of the earlier module stay.
    @discardableResult
    package func publish(_ commands: [Command], from module: String) -> [String] {
        state.withLock { state in
            if state.commands.updateValue(commands, forKey: module) == nil { state.order.append(module) }
            let all = state.order.flatMap { module in state.commands[module, default: []].map { (module, $0) } }
            state.table = CommandTable(all)
            return commands.map(\.name).filter { name in
                state.table.find(name).map { $0.entry.module != module } ?? false
            }
        }
    }
}
