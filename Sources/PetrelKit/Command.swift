import PetrelSupport

/// A command that people can run: its name, its properties and its handler.
public struct Command: Sendable {
    /// A closure that runs the command and returns the answer; nil for no answer.
    ///
    /// A thrown ``ReplyError`` is the answer; any other error is logged, and the answer names its log entry.
    public typealias Handler = @Sendable (Invocation) async throws -> Reply?
    /// A closure that parses arguments.
    /// - Parameters:
    ///   - arguments: the text after the name of the command.
    ///   - values: the values of a form, by field name; nil for a typed line.
    public typealias Parse = @Sendable (_ arguments: String, _ values: [String: String]?) -> ParsedLine

    /// The words that call the command, such as `st2help` or `st2session start`. Names are compared without case, and
    /// `_` equals a space. A command with an empty name receives every line that no other command matches.
    public var name: String
    /// The syntax of the arguments for `!help`, such as `[command]`.
    public var usage: String
    /// A one-line description for `!help`.
    public var summary: String
    /// Further lines about the command for `!help NAME`.
    public var details: [String] = []
    /// True if only administrators may run the command.
    public var isAdminOnly: Bool
    /// True if the command runs only in direct chats.
    public var isDirectOnly: Bool
    /// True if the person must be bound to one account. An occupant of an anonymous room is not.
    public var needsStableIdentity: Bool
    /// True if the command rejects arguments.
    public var takesNoArguments: Bool
    /// True if help lists the command.
    public var isListed: Bool
    /// Returns the arguments with their secrets masked, for the audit log; nil if they contain no secrets.
    public var masking: (@Sendable (String) -> String)?
    /// Alternative names. Access rules and the audit log see ``name`` instead.
    public var otherNames: [String]
    /// Parses the arguments once, before the decision; access rules, the audit log and the handler use the result. Nil
    /// for a command that uses the arguments unparsed.
    public var parse: Parse?
    /// Returns the lines that the command accepts besides its name, for completion and suggestions.
    public var lines: (@Sendable () -> [String])?
    /// True if help lists the command only with `-all`.
    public var isAuxiliary = false
    /// Returns the objection of the command itself to a caller, after the access rules have allowed the line; nil to
    /// allow it. It must return at once.
    public var objection: (@Sendable (_ caller: CommandCaller) -> CommandObjection?)?
    /// Returns the reply to a caller who may not run the command; nil for the reply of the host.
    public var refusal: (@Sendable (_ caller: CommandCaller, _ decision: AccessDecision) -> Reply?)?
    /// Runs the command.
    public var handler: Handler

    /// Creates a command.
    public init(
        _ name: String, usage: String = "", summary: String, isAdminOnly: Bool = false, isDirectOnly: Bool = false,
        needsStableIdentity: Bool = false, takesNoArguments: Bool = false, isListed: Bool = true,
        masking: (@Sendable (String) -> String)? = nil,
        otherNames: [String] = [], parse: Parse? = nil,
        lines: (@Sendable () -> [String])? = nil, handler: @escaping Handler
    ) {
        self.name = name
        self.usage = usage
        self.summary = summary
        self.isAdminOnly = isAdminOnly
        self.isDirectOnly = isDirectOnly
        self.needsStableIdentity = needsStableIdentity
        self.takesNoArguments = takesNoArguments
        self.isListed = isListed
        self.masking = masking
        self.otherNames = otherNames
        self.parse = parse
        self.lines = lines
        self.handler = handler
    }
}

/// The parsed arguments of a command.
public struct ParsedLine: Sendable {
    /// The result of the parser. The handler receives it as ``Invocation/parsed``.
    public var value: any Sendable
    /// The arguments with their secrets masked, for the audit log.
    public var masked: String
    /// Returns further interpretations of the arguments, if the command parses them differently from what a reader
    /// expects. It is called only if access rules exist.
    public var readings: @Sendable () -> [LineReading]

    /// Creates parsed arguments.
    public init(
        _ value: any Sendable, masked: String, readings: @escaping @Sendable () -> [LineReading] = { [] }
    ) {
        self.value = value
        self.masked = masked
        self.readings = readings
    }
}

/// An interpretation of a line by the parser of its command.
public enum LineReading: Sendable, Hashable {
    /// Arguments that access rules must allow as well.
    case text(String)
    /// A part of the arguments that no `denyargs` may match.
    case part(String)
    /// Arguments that are expanded only when the command runs, so that rules cannot evaluate them.
    case unforeseeable
}

extension Command {
    /// The name and the usage, such as `help [command]`.
    public var heading: String { usage.isEmpty ? name : "\(name) \(usage)" }

    /// Returns the normalised form of a name, by which names are compared: in lower case, without invisible characters,
    /// and with each run of `_` and white space as one space.
    public static func key(_ name: some StringProtocol) -> String {
        name.lowercased().unicodeScalars.filter { !$0.isInvisible }.split { $0 == "_" || $0.isSeparator }
            .map { String(String.UnicodeScalarView($0)) }.joined(separator: " ")
    }
}

extension [Command] {
    /// Returns the commands whose names begin with the words of a text and have further words: `infra search` for
    /// `infra`.
    public func beginning(with words: some StringProtocol) -> [Command] {
        let key = Command.key(words)
        guard !key.isEmpty else { return [] }
        return filter { Command.key($0.name).utf8.starts(with: (key + " ").utf8) }
    }
}

/// One call of a command.
public struct Invocation: Sendable {
    /// The message that called the command.
    public var message: ChatMessage
    /// The destination of the answer.
    public var address: Address
    /// The traits of the backend of the message.
    public var traits: BackendTraits
    /// The registered name of the command.
    public var command: String
    /// The text after the name, without white space at its ends. Line breaks and white space inside are preserved.
    public var arguments: String
    /// The ``ParsedLine/value`` that ``Command/parse`` returned; nil if the command has no parser.
    public var parsed: (any Sendable)?
    /// The whole line as access rules see it, without the prefix and with single spaces.
    public var line: String
    /// The configured prefix. Use ``typed(_:)`` to tell people what to type.
    public var prefix: String
    /// True if the sender is an administrator.
    public var isAdmin: Bool
    /// Adds an execution to the audit entry of the call. A line that is not nil replaces the audited line, for a
    /// command that learns only later which parts are secret.
    public var started: @Sendable (_ execution: String, _ line: String?) -> Void
    /// Sends a message to the destination of the answer before the command ends.
    public var send: @Sendable (Reply, DeliveryMarks) -> Void

    /// Creates an invocation.
    public init(
        message: ChatMessage, address: Address, traits: BackendTraits, command: String, arguments: String,
        parsed: (any Sendable)? = nil, line: String, prefix: String, isAdmin: Bool,
        started: @escaping @Sendable (_ execution: String, _ line: String?) -> Void,
        send: @escaping @Sendable (Reply, DeliveryMarks) -> Void
    ) {
        self.message = message
        self.address = address
        self.traits = traits
        self.command = command
        self.arguments = arguments
        self.parsed = parsed
        self.line = line
        self.prefix = prefix
        self.isAdmin = isAdmin
        self.started = started
        self.send = send
    }

    /// Sends a message to the destination of the answer before the command ends.
    public func say(_ reply: Reply, _ marks: DeliveryMarks = DeliveryMarks()) { send(reply, marks) }

    /// Returns a line as the sender has to type it: as the slash command, if the message used it and the line begins
    /// with its name, otherwise with the prefix.
    public func typed(_ line: String) -> String {
        if let slash = message.slashCommand?.dropFirst(), line == slash || line.hasPrefix(slash + " ") {
            return "/" + line
        }
        return prefix + line
    }
}
