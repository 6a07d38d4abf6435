import PetrelSupport

/// A command: a value with a closure.
public struct Command: Sendable {
    /// What was typed, ready to run.
    public typealias Handler = @Sendable (Invocation) async throws -> Reply?
    /// - Parameters:
    ///   - arguments: what followed the name.
    ///   - values: the answers of a form, by the names of its fields; nil for what was typed.
    public typealias Parse = @Sendable (_ arguments: String, _ values: [String: String]?) -> ParsedLine

    /// The words that call it, such as `st2help` or `st2session start`. Case, `_` and space do not matter. The empty
    /// name takes every line that no other command takes.
    public var name: String
    /// How its arguments are written, such as `[command]`.
    public var usage: String
    /// One line for `!help`.
    public var summary: String
    public var isAdminOnly: Bool
    /// Answered in direct chats only.
    public var isDirectOnly: Bool
    /// Refused to whoever is not bound to one account, such as an occupant of an anonymous room.
    public var needsStableIdentity: Bool
    /// Anything after its name is a mistake.
    public var takesNoArguments: Bool
    /// Whether help lists it.
    public var isListed: Bool
    /// Its arguments as the audit may keep them, with what is secret masked; nil where nothing is.
    public var masking: (@Sendable (String) -> String)?
    /// Other words that call it, which rules and the audit see as its name.
    public var otherNames: [String]
    /// Reads its arguments, once: what comes of that is judged, kept and run. Nil for a command that takes them as they
    /// stand.
    public var parse: Parse?
    /// The lines it takes beyond its own name, for completion and "did you mean".
    public var lines: (@Sendable () -> [String])?
    public var handler: Handler

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

/// The arguments of a command as it understood them.
public struct ParsedLine: Sendable {
    /// What the command made of them, which its handler gets as ``Invocation/parsed``.
    public var value: any Sendable
    /// The arguments as the audit may keep them, with what is secret masked.
    public var masked: String
    /// What they amount to besides what they say, where the parser reads them otherwise than people do. Asked for only
    /// where there are access rules.
    public var readings: @Sendable () -> [LineReading]

    public init(
        _ value: any Sendable, masked: String, readings: @escaping @Sendable () -> [LineReading] = { [] }
    ) {
        self.value = value
        self.masked = masked
        self.readings = readings
    }
}

/// What a parser makes of a line.
public enum LineReading: Sendable, Hashable {
    /// Access rules have to allow this text as well.
    case text(String)
    /// A part of it, which no `denyargs` may match.
    case part(String)
    /// What it amounts to shows only when it runs, so that no rule can judge it.
    case unforeseeable
}

extension Command {
    /// A name as names are compared: case, `_`, space and invisible characters do not matter.
    public static func key(_ name: some StringProtocol) -> String {
        name.lowercased().unicodeScalars.filter { !$0.isInvisible }.split { $0 == "_" || $0.isSeparator }
            .map { String(String.UnicodeScalarView($0)) }.joined(separator: " ")
    }
}

/// One call of a command.
public struct Invocation: Sendable {
    public var message: ChatMessage
    /// Where the answer goes.
    public var address: Address
    public var traits: BackendTraits
    /// The name of the command as it was registered.
    public var command: String
    /// What followed the name, outer white space off, line breaks and inner white space kept.
    public var arguments: String
    /// What ``Command/parse`` made of the arguments; nil where the command has none.
    public var parsed: (any Sendable)?
    /// The whole line as access rules see it.
    public var line: String
    /// The configured prefix; ``typed(_:)`` tells people what to type.
    public var prefix: String
    public var isAdmin: Bool
    /// Tells the audit what was started, and the line with its secrets masked where that is known better by now.
    public var started: @Sendable (_ execution: String, _ line: String?) -> Void
    /// Says something before the command has ended.
    public var say: @Sendable (Reply) -> Void

    public init(
        message: ChatMessage, address: Address, traits: BackendTraits, command: String, arguments: String,
        parsed: (any Sendable)? = nil, line: String, prefix: String, isAdmin: Bool,
        started: @escaping @Sendable (_ execution: String, _ line: String?) -> Void,
        say: @escaping @Sendable (Reply) -> Void
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
        self.say = say
    }

    /// A line as it has to be typed where this was asked: by the slash command, where it came by that one.
    public func typed(_ line: String) -> String {
        if let slash = message.slashCommand?.dropFirst(), line == slash || line.hasPrefix(slash + " ") {
            return "/" + line
        }
        return prefix + line
    }
}
