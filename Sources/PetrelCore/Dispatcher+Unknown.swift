import PetrelKit
import PetrelSupport

/// The commands whose names begin with the first words of a line that is no command.
struct CommandGroup {
    /// The maximum number of commands in a reply.
    private static let most = 10

    /// The words that the names begin with, in their normalised form.
    private let beginning: String
    /// True if the line has no other words, except a request for help.
    let isWhole: Bool
    private let commands: [Command]

    /// Finds the commands that begin with as many words of a line as possible. Returns nil if no command does.
    init?(of line: String, among commands: [Command]) {
        // Longer names do not exist in practice, and a long line has many words.
        let start = String(String.UnicodeScalarView(line.unicodeScalars.prefix(200)))
        let words = Command.key(start).words
        for count in stride(from: min(words.count, 10), to: 0, by: -1) {
            let beginning = words.prefix(count).joined(separator: " ")
            let found = commands.beginning(with: beginning)
            guard !found.isEmpty else { continue }
            let rest = words.dropFirst(count)
            let isHelp = rest.count == 1 && ["help", "-h", "--help"].contains { rest.last?.isKeyword($0) == true }
            self.beginning = beginning
            self.commands = found
            isWhole = rest.isEmpty || isHelp
            return
        }
        return nil
    }

    /// Returns the reply to the line, in Markdown.
    /// - Parameter typed: Returns a line as the person has to type it.
    func reply(typed: (String) -> String) -> Reply {
        let beginning = Markdown.code(typed(beginning))
        let opening =
            isWhole
            ? "The command \(beginning) is incomplete. These commands begin with it:"
            // The rest of the line may contain a secret.
            : "Unknown command \(beginning) …; these commands begin with it:"
        let lines = commands.prefix(Self.most).map {
            "- \(Markdown.code(typed($0.heading))) — \(Markdown.escaped($0.summary))"
        }
        let more = commands.count - lines.count
        let rest = more > 0 ? ["", "… and \(more) more; \(Markdown.code(typed("help"))) lists all commands."] : []
        return Reply(([opening, ""] + lines + rest).joined(separator: "\n"), style: .markdown, kind: .error)
    }
}

extension Dispatcher {
    /// Returns the reply to an unknown command, with suggestions that the person may run; nil for no reply, such as to
    /// `!!!`, which contains no letter.
    func unknown(_ text: String, _ message: ChatMessage, _ address: Address, _ policy: Policy) -> Reply? {
        guard Self.isWorded(text) else { return nil }
        let slash = slashPrefix(text, message)
        let text = slash?.rest ?? text
        guard !text.isEmpty else {
            let (command, help) = (message.slashCommand ?? "", "\(slash?.prefix ?? "")help")
            return Reply(
                "\(Markdown.code(command)) needs a command; \(Markdown.code(help)) lists the commands.",
                style: .markdown,
                kind: .error)
        }
        let prefix = slash?.prefix ?? policy.prefixes.prefix
        func typed(_ line: String) -> String {
            let isOfSlash = message.slashCommand?.utf8.dropFirst().elementsEqual(line.firstWord.word.utf8) == true
            return slash == nil && isOfSlash ? "/\(line)" : "\(prefix)\(line)"
        }
        let line = CommandText.line(of: text)
        let commands = visible(to: message.sender, in: message.room, on: address.backend)
        let group = CommandGroup(of: line, among: commands)
        if let group, group.isWhole, message.isDirect || policy.unknownCommands != .ignore {
            return group.reply(typed: typed)
        }
        let caller = CommandCaller(person: message.sender, room: message.room, backend: address.backend)
        for module in hooks.value.answerers {
            if let reply = module.answer(toUnknown: text, of: caller) { return reply }
        }
        let names = commands.map(\.name)
        let (word, near) = (line.firstWord.word, Nearness.nearest(to: line, among: names))
        let all = near + Nearness.nearest(to: word, among: names).filter { !near.contains($0) }
        if !message.isDirect {
            switch policy.unknownCommands {
            case .answer: break
            case .hint where !all.isEmpty || group != nil: break
            case .hint, .ignore: return nil
            }
        }
        if let group, near.isEmpty { return group.reply(typed: typed) }
        return Self.unknown(word, near: all.map(typed), help: typed("help"))
    }

    private static func unknown(_ word: String, near: [String], help: String) -> Reply {
        // Only the first word, because the rest may contain a secret.
        let shown = word.count > 40 ? String(word.prefix(40)) + "…" : word
        var reply = "Unknown command “\(Markdown.escaped(shown))”."
        if !near.isEmpty {
            reply += " Did you mean \(near.prefix(3).map { Markdown.code($0) }.joined(separator: " or "))?"
        }
        return Reply("\(reply) \(Markdown.code(help)) lists the commands.", style: .markdown, kind: .error)
    }

    /// Returns true if a text contains a letter or a digit outside of emoji names such as `:tada:`.
    private static func isWorded(_ text: String) -> Bool {
        let words = text.words.filter { word in
            !(word.utf8.count > 2 && word.utf8.first == UInt8(ascii: ":") && word.utf8.last == UInt8(ascii: ":"))
        }
        return words.contains { word in
            word.unicodeScalars.contains { $0.properties.isAlphabetic || $0.properties.numericType != nil }
        }
    }

    /// Returns the prefix for commands after a slash command, and the rest of the line; nil if the message is none, or
    /// there are commands whose first word is its name.
    private func slashPrefix(_ text: String, _ message: ChatMessage) -> (prefix: String, rest: String)? {
        guard let slash = message.slashCommand else { return nil }
        let (word, rest) = text.firstWord
        let isOfCommand = registry.table.entries.contains { entry in
            entry.command.name.firstWord.word.utf8.elementsEqual(word.utf8)
        }
        guard word.utf8.elementsEqual(slash.utf8.dropFirst()), !isOfCommand else { return nil }
        return ("\(slash) ", rest)
    }
}
