import PetrelCore
import PetrelKit
import PetrelSupport

extension Configuration {
    /// A command of the configuration, and the place in the file that creates it.
    private struct Named {
        var place: String
        var outline: ModuleOutline
        var name: String

        var naming: String { outline.naming ?? outline.name }
    }

    private var named: [Named] {
        modules.flatMap { plugIn in
            plugIn.outlines.flatMap { outline in
                outline.commands.map {
                    Named(place: type(of: plugIn).section ?? outline.name, outline: outline, name: $0)
                }
            }
        }
    }

    /// Checks that each command is called by what people type: its name, behind the prefix.
    func reviewTyping(_ root: SettingsSection) {
        let all = named.filter { !$0.name.isEmpty }
        let table = CommandTable(all.map { ($0.outline.name, Command($0.name, summary: "") { _ in nil }) })
        let prefix = core.prefixes.prefix
        for command in all {
            let message = ChatMessage(
                id: "", sender: Person(id: "", name: ""), room: Room(id: "", name: ""), text: prefix + command.name)
            let text = core.prefixes.strip(CommandText(message.text).text, from: message)
            let match = text.flatMap { table.find($0) }
            let isFound = match.map { $0.arguments.isEmpty && Self.areEqual($0.entry.command.name, command.name) }
            if isFound != true {
                root.problem(
                    command.place,
                    "\(command.naming) creates the command \"\(command.name)\", which nobody can type: after \"\(prefix)\", "
                        + "it is read as \"\(text ?? "")\"")
            } else if !prefix.isEmpty, command.name.utf8.starts(with: prefix.utf8) {
                root.warn(
                    command.place,
                    "the command \"\(command.name)\" is typed as \"\(prefix)\(command.name)\", because its name begins "
                        + "with bot.prefix")
            }
        }
        reviewHidden(all, root)
    }

    private static func areEqual(_ name: String, _ other: String) -> Bool {
        Command.key(name).utf8.elementsEqual(Command.key(other).utf8)
    }

    /// Checks that no command is called in place of a command of another module with arguments.
    private func reviewHidden(_ all: [Named], _ root: SettingsSection) {
        let owners = Dictionary(all.map { (Command.key($0.name), $0) }) { first, _ in first }
        var reported: Set<String> = []
        for command in all {
            let words = Command.key(command.name).utf8.split(separator: UInt8(ascii: " ")).map { String(Substring($0)) }
            for count in 1..<max(words.count, 1) {
                let shorter = words.prefix(count).joined(separator: " ")
                guard let other = owners[shorter], other.outline.name != command.outline.name,
                    reported.insert("\(command.outline.name) \(shorter)").inserted
                else { continue }
                root.warn(
                    command.place,
                    "\(command.naming) creates commands such as \"\(command.name)\", which are run in place of the "
                        + "command \"\(other.name)\" of the module \(other.outline.name) with arguments")
            }
        }
    }
}
