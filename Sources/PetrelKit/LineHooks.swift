public import Foundation

/// A module that replaces lines before their commands are looked up, such as the aliases of a person.
public protocol LineExpanding: BotModule {
    /// Returns the line to run in place of a line, both without the prefix; nil to leave it. It must return at once. The
    /// result is not expanded again; access rules and the audit log see it.
    func expanded(_ line: String, for caller: CommandCaller) -> String?
}

/// A module that answers lines that are not commands.
public protocol UnknownAnswering: BotModule {
    /// Returns the reply to a line without its prefix; nil for the reply of the host. It must return at once.
    func answer(toUnknown line: String, of caller: CommandCaller) -> Reply?
}

/// A module that keeps the bot silent towards some people, or in some places.
public protocol Silencing: BotModule {
    /// Returns the reason for which no line of a caller is run or answered; nil if the bot is not silent. It must return
    /// at once.
    func silence(towards caller: CommandCaller) -> CommandObjection?
}

/// A module whose events are listed by `audit` beside the decisions.
public protocol ActivityReporting: BotModule {
    /// Returns events, the newest first.
    func activities(_ query: ActivityQuery) async throws -> [Activity]
}

/// Lists the events of all modules.
public protocol ActivityListing: Sendable {
    /// Returns events, the newest first.
    func activities(_ query: ActivityQuery) async throws -> [Activity]
}

/// A query for events.
public struct ActivityQuery: Sendable, Hashable {
    /// The id or the name of the person; nil for all.
    public var person: String?
    /// The status of the events, as their module names it; nil for all.
    public var status: String?
    /// The maximum number of events.
    public var limit: Int
    /// The administrator who asks, and the place.
    public var caller: CommandCaller

    /// Creates a query.
    public init(person: String? = nil, status: String? = nil, limit: Int, caller: CommandCaller) {
        self.person = person
        self.status = status
        self.limit = limit
        self.caller = caller
    }
}

/// An event that `audit` lists.
public struct Activity: Sendable, Hashable {
    /// The time of the event.
    public var time: Date
    /// The description, as one line.
    public var line: String

    /// Creates an event.
    public init(time: Date, line: String) {
        self.time = time
        self.line = line
    }
}

/// A module that knows from its records the commands that it had in its latest run.
public protocol CommandRestoring: BotModule {
    /// Adds the commands of the latest run, without running anything.
    func restoreCommands() async throws
}

/// Reads the configuration again while the bot runs.
public protocol ConfigurationReloading: Sendable {
    /// Reads the configuration file again, and applies the settings that can change while the bot runs. A file with
    /// errors changes nothing.
    /// - Returns: The outcome, a sentence for each fact; nil if the configuration does not come from a file.
    func reload() -> [String]?
}

/// A plug-in whose modules take new settings while they run. The whole section can then be reloaded.
public protocol Reloading: ModulePlugIn {
    /// Applies the settings of this value to those of the running modules that belong to the plug-in, in one step.
    func reload(_ modules: [any BotModule])
}
