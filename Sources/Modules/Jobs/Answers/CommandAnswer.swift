/// The way in which the standard output of a command is answered, in place of the templates.
enum CommandAnswer: String, Sendable, Codable, CaseIterable {
    /// The output is the text of one reply.
    case text
    /// The output is a JSON object, a reply, or a list of them; anything else is the text of one reply.
    case json
    /// The command does not print its reply but returns it, and it is stored until it has been said.
    case reply

    /// The ways that can be configured.
    static let allCases = [text, json]
}

/// The standard input of a command.
enum CommandInput: String, Sendable, CaseIterable {
    /// Nothing.
    case none
    /// A JSON object about the call.
    case json
}
