public import CoreMetrics
public import Logging

/// A set of commands, and what keeps them up to date.
public protocol BotModule: Sendable {
    /// The name of this instance; rules may limit themselves to it with `name:glob`.
    var name: String { get }
    /// The commands it has from the first moment.
    var commands: [Command] { get }
    /// Whether people should meet it only when it has called ``ModuleHost/ready()``, as far as that takes seconds.
    var preparesItself: Bool { get }
    /// Runs until cancelled. A module without work of its own needs not implement it.
    func run(_ host: some ModuleHost) async throws
}

extension BotModule {
    public var preparesItself: Bool { false }

    public func run(_ host: some ModuleHost) async throws {}
}

/// What the host hands to a module.
public protocol ModuleHost: Sendable {
    /// The module has what it needs for people, or knows that it cannot be had for now.
    func ready()
    /// Replaces the module's commands in one step.
    func publish(_ commands: [Command])
    /// Says something unasked, with what the store keeps in one step with it. It is said once it is kept, in the order
    /// of the calls for each place; `storage.written()` waits for that. Throws when the queue of the place is full.
    func say(_ reply: Reply, at address: Address, _ receipt: Receipt) throws
    /// Shows something else in the place of what was said, where the backend can do that and remembers it.
    func replace(_ handle: String, with reply: Reply, on backend: String)
    /// Tells those who run the bot, in the log and in the rooms of `bot.admin_rooms`, in Markdown.
    func tellAdmins(_ text: String)
    /// Where a bare name (`#ops`, `C42`, `@bob`, or `slack/#ops`) is.
    /// - Parameters:
    ///   - backend: that is meant unless the name is none of its own.
    ///   - fallback: the backend for names that several could have.
    func route(_ name: String, in backend: String?, orElse fallback: String?) -> Route
    /// The module's own records.
    var storage: any Storage { get }
    var overview: any HostOverview { get }
    /// For what happens without a command.
    var audit: any AuditLog { get }
    var metrics: any MetricsFactory { get }
    var logger: Logger { get }
}

/// What came of looking for a place by its name.
public enum Route: Sendable, Hashable {
    case to(Address)
    /// None is meant, or several could be. Never guessed: a reply that goes nowhere is a dead letter that says why.
    case undecided(String)
}

extension Address {
    /// Of a name that no one backend is known to have: what is said there becomes a dead letter, and is looked for again
    /// when somebody retries it.
    public static func undecided(_ name: String) -> Address {
        Address(backend: "", place: name.utf8.first == UInt8(ascii: "@") ? .direct(name) : .room(name))
    }

    public var isUndecided: Bool { backend.isEmpty }
}

extension ModuleHost {
    public func say(_ reply: Reply, at address: Address) throws { try say(reply, at: address, Receipt()) }
}

/// Something that can say how it is.
public protocol StatusReporting: Sendable {
    func status() -> [StatusLine]
}

/// Something with numbers that are read when they are asked for.
public protocol GaugeReporting: Sendable {
    /// The name as Prometheus has it, its labels, and the value now.
    func gauges() -> [(name: String, labels: [(String, String)], value: Double)]
}

/// One line of `!status`, `/health` and their reasons.
public struct StatusLine: Sendable, Hashable, Codable {
    /// What it is about: `backend text`, `stackstorm`.
    public var subject: String
    public var isHealthy: Bool
    /// What is known, or what is wrong and since when.
    public var detail: String

    public init(_ subject: String, isHealthy: Bool, _ detail: String) {
        self.subject = subject
        self.isHealthy = isHealthy
        self.detail = detail
    }
}

/// What came of judging a line.
public enum Verdict: Sendable {
    /// It is one of the same command.
    /// - arguments: what the command gets, as it would from a line that was typed.
    /// - parsed: what ``Command/parse`` made of them, which is what was judged.
    case allowed(arguments: String, parsed: (any Sendable)?)
    /// - Parameter: what is said about it; nil where refusals are not told.
    case denied(Reply?)
}

/// The house as a module may look at it.
public protocol HostOverview: Sendable {
    /// The bot's own name; a direct chat counts as the room `@name`.
    var name: String { get }
    var version: String { get }
    /// What is typed before a command.
    var prefix: String { get }
    /// Seconds since the start of the process.
    var uptime: Duration { get }
    /// The commands that this person may run from here, in order of their names.
    func commands(for invocation: Invocation) -> [Command]
    /// Whether help should show a line with placeholders to whoever asked: rules about arguments do not count.
    func shows(_ template: String, to invocation: Invocation) -> Bool
    /// What would be decided on a line, without the prefix; nil where no command is called that.
    func decision(on line: String, by person: Person, in room: Room?, on backend: String) -> AccessDecision?
    /// Judges a line that somebody did not type but asked for otherwise, such as with a form, as if they had: with the
    /// rules, and in the audit where it is denied.
    func verdict(on line: String, for invocation: Invocation) -> Verdict
    /// A person or room by id or name, where they were seen since the start.
    func person(named name: String, on backend: String) -> Person?
    func room(named name: String, on backend: String) -> Room?
    /// Whether a list of people holds somebody: their id, or `@name` where names count, with or without the backend before
    /// it. Somebody without a stable identity is in no list.
    func isListed(_ person: Person, on backend: String, in people: Set<String>) -> Bool
    /// A line as the audit may keep it.
    func masked(_ line: String) -> String
    /// How the parts of the house are, in the order in which they were configured.
    func status() -> [StatusLine]
}
