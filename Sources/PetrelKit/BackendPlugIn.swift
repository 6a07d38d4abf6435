public import CoreMetrics
public import Logging
public import PetrelSupport

/// A kind of backend that a configuration can name.
///
/// A value contains the settings of one section under `backends`. The host reads all sections before it creates a
/// backend, so that `petrel check` finds every error. A plug-in with metrics of its own conforms to
/// ``MetricsDescribing``.
public protocol BackendPlugIn: Sendable {
    /// The name of the kind. A section selects it with `"kind"`, or by its own name.
    static var kind: String { get }
    /// The facts that reviewers of a configuration need.
    static var facts: BackendFacts { get }
    /// Reads a section of `backends`, and reports every error to it.
    init(name: String, _ section: SettingsSection, _ options: LaunchOptions)
    /// Creates the backend.
    func makeBackend(_ context: BackendContext) throws -> any ChatBackend
}

extension BackendPlugIn {
    /// The default facts.
    public static var facts: BackendFacts { BackendFacts() }
}

/// The facts about a kind of backend that `petrel check` needs.
public struct BackendFacts: Sendable {
    /// True if a person may take a name that belonged to another, so that rules should name ids.
    public var namesChange: Bool
    /// True if several people write to the backend.
    public var isShared: Bool
    /// True if a process can have only one backend of this kind.
    public var isSingle: Bool
    /// The format of the names of people and rooms in access rules.
    public var names: NameForms
    /// A warning for authors of access rules.
    public var caution: String?
    /// The key of the section that needs the web server, because the service sends requests to it.
    public var webKey: String?

    /// Creates the facts. By default several people write to the backend, under names that they keep.
    public init(
        namesChange: Bool = false, isShared: Bool = true, isSingle: Bool = false, names: NameForms = NameForms(),
        caution: String? = nil, webKey: String? = nil
    ) {
        self.namesChange = namesChange
        self.isShared = isShared
        self.isSingle = isSingle
        self.names = names
        self.caution = caution
        self.webKey = webKey
    }
}

/// The format of the names of people and rooms in access rules.
public struct NameForms: Sendable {
    /// The kinds of names that a rule lists.
    public enum Subject: Sendable {
        /// A person.
        case person
        /// A room.
        case room
    }

    /// True if people are also known as `@name` and rooms as `#name`, besides their ids.
    public var haveSigils: Bool
    /// True if no name has a capital letter.
    public var areLowercase: Bool
    /// Returns whether a text has the form of an id.
    public var isID: @Sendable (_ text: String, _ subject: Subject) -> Bool

    /// Creates a form. By default names have sigils, and no text has the form of an id.
    public init(
        haveSigils: Bool = true, areLowercase: Bool = false,
        isID: @escaping @Sendable (_ text: String, _ subject: Subject) -> Bool = { _, _ in false }
    ) {
        self.haveSigils = haveSigils
        self.areLowercase = areLowercase
        self.isID = isID
    }
}

/// The options of the command line that plug-ins can use.
public struct LaunchOptions: Sendable {
    /// The number of seconds to wait for results after the end of the input; nil for the configured number.
    public var linger: Int?

    /// Creates options.
    public init(linger: Int? = nil) {
        self.linger = linger
    }
}

/// The resources that the host provides to a plug-in that creates a backend.
public struct BackendContext: Sendable {
    /// The bot's logger.
    public var logger: Logger
    /// The event loop on which messages are read and sent, and its executor.
    public var loop: EventLoopExecutor
    /// The version of Petrel.
    public var version: String
    /// Makes counters, timers and gauges.
    public var metrics: any MetricsFactory

    /// Creates a context. Without a factory, metrics are discarded.
    public init(
        logger: Logger, loop: EventLoopExecutor, version: String,
        metrics: any MetricsFactory = NOOPMetricsHandler.instance
    ) {
        self.logger = logger
        self.loop = loop
        self.version = version
        self.metrics = metrics
    }
}
