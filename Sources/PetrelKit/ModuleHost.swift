public import CoreMetrics
public import Logging

/// The interfaces to the rest of the bot that a module receives when it is created.
public struct ModuleHost: Sendable {
    /// The name of the module.
    public var module: String
    /// Publishes the module's commands.
    public var commands: any CommandPublishing
    /// Sends messages that no command is waiting for.
    public var chat: any Speaking
    /// Finds rooms and people by their names.
    public var places: any PlaceFinding
    /// Evaluates lines against the access rules.
    public var rules: any Judging
    /// Lists the events of every module.
    public var activities: any ActivityListing
    /// Reads the configuration again.
    public var configuration: any ConfigurationReloading
    /// Lists the commands of every module.
    public var help: any CommandListing
    /// The bot's name, version, prefix and uptime.
    public var bot: any BotDescribing
    /// The status of every part of the bot, in the order of the configuration.
    public var health: any StatusReporting
    /// The module's own records.
    public var storage: any Storage
    /// The audit log, for events that are not commands.
    public var audit: any AuditLog
    /// Makes counters, timers and gauges.
    public var metrics: any MetricsFactory
    /// A logger that names the module.
    public var logger: Logger

    /// Creates a host for one module.
    public init(
        module: String, commands: any CommandPublishing, chat: any Speaking, places: any PlaceFinding,
        rules: any Judging, activities: any ActivityListing, configuration: any ConfigurationReloading,
        help: any CommandListing, bot: any BotDescribing, health: any StatusReporting,
        storage: any Storage, audit: any AuditLog, metrics: any MetricsFactory, logger: Logger
    ) {
        self.module = module
        self.commands = commands
        self.chat = chat
        self.places = places
        self.rules = rules
        self.activities = activities
        self.configuration = configuration
        self.help = help
        self.bot = bot
        self.health = health
        self.storage = storage
        self.audit = audit
        self.metrics = metrics
        self.logger = logger
    }
}

/// Publishes the commands of one module.
public protocol CommandPublishing: Sendable {
    /// Tells the host that the module is ready, or that it cannot become ready at the moment.
    func ready()
    /// Replaces the module's commands in one step.
    func publish(_ commands: [Command])
    /// Returns the name of the module that has a command of this name; nil if no module has it.
    func module(having command: String) -> String?
}

extension CommandPublishing {
    /// Returns nil.
    public func module(having command: String) -> String? { nil }
}

/// Sends messages that no command is waiting for.
public protocol Speaking: Sendable {
    /// Queues a message, and the changes that the store commits in the same transaction.
    ///
    /// Messages to one place are sent in the order of the calls; ``Storage/written()`` waits until they are stored.
    /// Throws if the outbox is full.
    func say(
        _ reply: Reply, at address: Address, _ marks: DeliveryMarks, _ transaction: MessageTransaction) throws
    /// Replaces a message that was sent or is being sent, and returns at once.
    ///
    /// Of several replacements the last one takes effect. Nothing happens if the backend cannot replace messages, if
    /// the message was sent before the bot was started (see ``MessageRecalling``), or if 1,000 newer messages have a
    /// handle.
    /// - Parameter handle: the ``DeliveryMarks/handle`` of the message.
    func replace(_ handle: String, with reply: Reply, on backend: String)
    /// Returns the traits of a backend; nil if there is no backend of that name.
    func traits(of backend: String) -> BackendTraits?
    /// Returns the identifier of the thread below a message of a backend; nil if the backend has no threads, or the message
    /// cannot have one.
    func thread(below message: String, on backend: String) -> String?
    /// Answers with a message in place of another one that was sent or is being sent, such as a notice that the answer
    /// takes some time. If the other message cannot be replaced, the answer is sent as a message of its own.
    /// - Parameter handle: the ``DeliveryMarks/handle`` of the other message.
    func answer(_ reply: Reply, replacing handle: String, at address: Address)
    /// Tells the operators, in the log and in the rooms of `bot.admin_rooms`, in Markdown.
    func tellAdmins(_ text: String)
}

extension Speaking {
    /// Returns nil.
    public func traits(of backend: String) -> BackendTraits? { nil }

    /// Returns nil.
    public func thread(below message: String, on backend: String) -> String? { nil }

    /// Queues a message that comes with nothing else to store.
    public func say(_ reply: Reply, at address: Address, _ marks: DeliveryMarks = DeliveryMarks()) throws {
        try say(reply, at: address, marks, MessageTransaction())
    }
}

/// Finds rooms and people by their names.
public protocol PlaceFinding: Sendable {
    /// Finds the place that a bare name stands for: `#ops`, `C42`, `@bob`, or `slack/#ops`.
    /// - Parameters:
    ///   - backend: the backend that is meant unless the name belongs to another.
    ///   - fallback: the backend for names that several backends could have.
    func route(_ name: String, in backend: String?, orElse fallback: String?) -> Route
    /// Returns a person by id or name, if the bot has seen them.
    func person(named name: String, on backend: String) -> Person?
    /// Returns the person with this id, or everyone whose present name it is.
    func people(named name: String, on backend: String) -> [Person]
    /// Returns a room by id or name, if the bot has seen it.
    func room(named name: String, on backend: String) -> Room?
}

extension PlaceFinding {
    /// Returns the only person that is known.
    public func people(named name: String, on backend: String) -> [Person] {
        [person(named: name, on: backend)].compactMap(\.self)
    }
}

/// The result of looking for a place by its name.
public enum Route: Sendable, Hashable {
    /// The name stands for this place.
    case to(Address)
    /// The name stands for no place, or for several. The host does not guess: the reply becomes a dead letter with the
    /// reason.
    case undecided(String)
}

extension Address {
    /// Creates the address of a name that no single backend is known to have. A message to it becomes a dead letter,
    /// and the name is looked up again when an operator retries it.
    public static func undecided(_ name: String) -> Address {
        Address(backend: "", place: name.utf8.first == UInt8(ascii: "@") ? .direct(name) : .room(name))
    }

    /// True if no backend is known for this address.
    public var isUndecided: Bool { backend.isEmpty }
}

/// Evaluates lines against the access rules.
public protocol Judging: Sendable {
    /// Returns the decision on a line without the prefix; nil if no command has that name.
    func decision(on line: String, by person: Person, in room: Room?, on backend: String) -> AccessDecision?
    /// Finds, parses and evaluates a line that a program sends as a person, as if the person had typed it; nil if no
    /// command has that name. Writes nothing to the audit log.
    /// - Throws: ``Refusal`` if the line exceeds the limits for lines.
    func call(_ line: String, by caller: CommandCaller) throws -> JudgedCall?
    /// Evaluates a line that a person did not type but requested otherwise, such as with a form, as if it had been
    /// typed: against the rules, and with an entry in the audit log if it is denied.
    func verdict(on line: String, for invocation: Invocation) -> Verdict
    /// Returns whether a list of people contains a person: by id, or by `@name` if names are permitted, with or without
    /// the backend before it. A person without a stable identity is in no list.
    func isListed(_ person: Person, on backend: String, in people: Set<String>) -> Bool
    /// Returns whether a list of rooms contains a room: by id, or by `#name` if names are permitted, with or without the
    /// backend before it.
    func isListed(_ room: Room, on backend: String, in rooms: Set<String>) -> Bool
    /// Returns a line with its secrets masked, for the audit log.
    func masked(_ line: String) -> String
}

/// A line that was found, parsed and evaluated.
public struct JudgedCall: Sendable {
    /// The name of the command.
    public var command: String
    /// The text after the name.
    public var arguments: String
    /// The value that ``Command/parse`` returned for the arguments, which is what the rules evaluated.
    public var parsed: (any Sendable)?
    /// The line with its secrets masked, for the audit log.
    public var masked: String
    /// The decision.
    public var decision: AccessDecision

    /// Creates a call.
    public init(
        command: String, arguments: String, parsed: (any Sendable)?, masked: String, decision: AccessDecision
    ) {
        self.command = command
        self.arguments = arguments
        self.parsed = parsed
        self.masked = masked
        self.decision = decision
    }
}

/// The result of evaluating a line.
public enum Verdict: Sendable {
    /// The line belongs to the same command and may run.
    /// - arguments: the command's arguments, as they would come from a line that was typed.
    /// - parsed: the value that ``Command/parse`` returned for them, which is what the rules evaluated.
    case allowed(arguments: String, parsed: (any Sendable)?)
    /// The line may not run.
    /// - Parameter: the refusal for the person; nil if refusals are not reported.
    case denied(Reply?)
}

/// Lists the commands of all modules for one person.
public protocol CommandListing: Sendable {
    /// Returns the commands that the person may run from here, in the order of their names.
    func commands(for invocation: Invocation) -> [Command]
    /// Returns whether help shows a line with placeholders to the person. Rules about arguments are ignored.
    func shows(_ template: String, to invocation: Invocation) -> Bool
}

/// The bot's own data.
public protocol BotDescribing: Sendable {
    /// The bot's name. A direct chat counts as the room `@name`.
    var name: String { get }
    /// The version of Petrel.
    var version: String { get }
    /// The prefix that people type before a command; may be empty.
    var prefix: String { get }
    /// The time since the process started.
    var uptime: Duration { get }
}
