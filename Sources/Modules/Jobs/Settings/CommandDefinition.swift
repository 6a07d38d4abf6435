import PetrelKit

/// A command that starts a recorded job, whatever source it comes from.
struct CommandDefinition: Sendable {
    /// The help of a command.
    struct Help: Sendable {
        /// The one-line description.
        var summary = ""
        /// The description of each argument.
        var arguments: [String] = []
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
}

/// A source of commands that start jobs, beside the configuration.
protocol CommandSource: Sendable {
    /// The current commands.
    var definitions: [CommandDefinition] { get }
}
