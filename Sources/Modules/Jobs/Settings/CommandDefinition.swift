import PetrelKit
import PetrelSupport

/// A command that starts a recorded job, whatever source it comes from.
struct CommandDefinition: Sendable {
    /// The help of a command.
    struct Help: Sendable, Equatable {
        /// The one-line description.
        var summary = ""
        /// The description of each argument.
        var arguments: [String] = []
        /// Lines that show how the command is called.
        var examples: [String] = []
        /// Further lines that help and completion offer.
        var suggestions: [String] = []

        /// Returns the lines for `help NAME`.
        func details(prefix: String) -> [String] {
            func list(_ title: String, _ items: [String]) -> [String] {
                items.isEmpty ? [] : ["\(title):"] + items.map { "- \($0)" }
            }
            return list("Arguments", arguments) + list("Examples", examples.map { prefix + $0 })
        }

        /// The lines for completion.
        var lines: [String] { examples + suggestions }
    }

    /// The name of the command.
    var name: String
    /// The place where the command is defined, for messages: `jobs.commands.deploy`.
    var origin: String
    /// The path or the name of the program.
    var program: String
    /// The arguments before those that people type.
    var arguments: [String] = []
    /// The people and places that may run it.
    var rights = CommandRights()
    /// The time limit; nil for none.
    var timeout: Duration? = .seconds(60)
    /// False if a start is not confirmed.
    var hasHandshake = true
    /// The replies.
    var format: ReplyFormat
    /// The environment variables besides the inherited ones.
    var environment: [String: String] = [:]
    /// The working directory; nil for that of Petrel.
    var folder: String?
    /// The arguments that are masked in records and in the audit log.
    var secrets = SecretArguments()
    /// The help.
    var help = Help()

    /// The one-line description for help: of the configuration, or else the name of the program.
    var summary: String {
        let line = Printable.line(help.summary)
        guard line.isBlank else { return line }
        let name = program.utf8.split(separator: UInt8(ascii: "/")).last.map { String(Substring($0)) } ?? program
        return "Run \(Printable.name(name))."
    }
    /// The way in which the output is answered; nil for the templates.
    var answer: CommandAnswer?
    /// True if the program receives a ``CallDocument`` on standard input.
    var hasInput = false
    /// The file of the program, if it comes from a folder of scripts.
    var script: ScriptFile?
    /// True if it is a function of a plug-in for CatOps, and not a program.
    var isFunction = false

    /// Returns the arguments of a call with their secrets masked.
    func masked(_ arguments: [String]) -> [String] {
        isFunction ? secrets.masked(words: arguments) : secrets.masked(arguments)
    }
}
