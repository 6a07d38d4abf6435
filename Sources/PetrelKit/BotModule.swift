/// A set of commands, and the background work that keeps them up to date.
///
/// A ``ModulePlugIn`` creates a module from its settings and a ``ModuleHost``, which gives the module access to the
/// rest of the bot.
public protocol BotModule: Sendable {
    /// The name of this instance. Access rules may limit themselves to it with `name:glob`.
    var name: String { get }
    /// The commands that the module has from the start.
    var commands: [Command] { get }
    /// True if the host should connect its backends only after the module has called ``CommandPublishing/ready()``, or
    /// after a few seconds.
    var preparesItself: Bool { get }
    /// Runs the module's own work until cancelled. If it throws, the host calls it again after an increasing pause.
    func run() async throws
}

extension BotModule {
    /// Returns false.
    public var preparesItself: Bool { false }

    /// Returns at once.
    public func run() async throws {}
}

/// A part of the bot that can report its status.
public protocol StatusReporting: Sendable {
    /// Returns the current status, with one line for each part.
    func status() -> [StatusLine]
}

/// A module or a backend with gauges that are read when Prometheus requests them.
public protocol GaugeReporting: Sendable {
    /// Returns each gauge: its Prometheus name, its labels, and its current value.
    func gauges() -> [(name: String, labels: [(String, String)], value: Double)]
}

/// One line of `!status` and `/health`.
public struct StatusLine: Sendable, Hashable, Codable {
    /// The part that the line is about: `backend text`, `stackstorm`.
    public var subject: String
    /// True if the part works.
    public var isHealthy: Bool
    /// The facts, or the problem and its duration.
    public var detail: String

    /// Creates a line.
    public init(_ subject: String, isHealthy: Bool, _ detail: String) {
        self.subject = subject
        self.isHealthy = isHealthy
        self.detail = detail
    }
}
