public import PetrelSupport

/// A kind of module, with its section of the configuration.
///
/// A value contains all settings of the plug-in: `"jobs": {…}` is one section, and a list of objects is several, for a
/// plug-in that creates one module for each. Optional capabilities are separate protocols: ``ConfigurationReviewing``,
/// ``SecretStoring``, ``CommandRecalling``, ``LineExplaining`` and ``MetricsDescribing``.
public protocol ModulePlugIn: Sendable {
    /// The key of the section; nil for a plug-in that is always active and has no settings. Without its section, the
    /// plug-in is not created.
    static var section: String? { get }
    /// Reads the sections, and reports every error to them.
    init(_ sections: [SettingsSection])
    /// The outlines of the modules that this configuration creates.
    var outlines: [ModuleOutline] { get }
    /// Creates the modules, in the order of the outlines.
    func makeModules(_ context: ModuleContext) throws -> [any BotModule]
}

/// The facts about a module that `petrel check` needs.
public struct ModuleOutline: Sendable, Hashable {
    /// The name of the module.
    public var name: String
    /// The key of the setting that decides the name, for error messages: `plugin_prefix "st2"`.
    public var naming: String?
    /// The names of the commands that the module has from the start.
    public var commands: [String]
    /// True if the names of further commands are known only while the module runs, so that no rule can be called one
    /// that never matches.
    public var addsCommands: Bool
    /// A phrase for the commands that everyone may run if there are no access rules, such as `every command of …`, for
    /// a warning; nil for no warning.
    public var exposure: String?
    /// The backend for names that several backends could have; nil for none.
    public var defaultBackend: String?

    /// Creates an outline.
    public init(
        _ name: String, naming: String? = nil, commands: [String], addsCommands: Bool = false,
        exposure: String? = nil, defaultBackend: String? = nil
    ) {
        self.name = name
        self.naming = naming
        self.commands = commands
        self.addsCommands = addsCommands
        self.exposure = exposure
        self.defaultBackend = defaultBackend
    }
}

/// The resources that the host provides to a plug-in that creates modules.
public struct ModuleContext: Sendable {
    /// The event loop on which commands run, and its executor.
    public var loop: EventLoopExecutor
    /// The web server's settings; nil where the configuration has no `web` section.
    public var web: WebFacts?
    private let access: @Sendable (_ module: String) -> ModuleHost

    /// Creates a context.
    /// - Parameter access: returns the host for a module, always the same for the same name.
    public init(
        loop: EventLoopExecutor, web: WebFacts? = nil, access: @escaping @Sendable (_ module: String) -> ModuleHost
    ) {
        self.loop = loop
        self.web = web
        self.access = access
    }

    /// Returns the host for the module of that name.
    public func host(for module: String) -> ModuleHost { access(module) }
}

/// The settings of the web server that plug-ins need.
public struct WebFacts: Sendable {
    /// The secret of requests that scripts send; nil where every such request is refused.
    public var webhookSecret: Secret?
    /// The folder of static pages.
    public var pages: String
    /// True if the configuration names that folder.
    public var namesPages: Bool

    /// Creates the facts.
    public init(webhookSecret: Secret? = nil, pages: String, namesPages: Bool = false) {
        self.webhookSecret = webhookSecret
        self.pages = pages
        self.namesPages = namesPages
    }
}

/// The parts of a configuration that plug-ins check their own settings against.
public struct ConfigurationFacts: Sendable {
    /// The configured backends: their names, and the facts about their kinds.
    public var backends: [(name: String, facts: BackendFacts)]
    /// The web server's settings; nil where the configuration has no `web` section.
    public var web: WebFacts?
    /// The commands that modules have from the start.
    public var commands: [(module: String, name: String)]

    /// Creates the facts.
    public init(
        backends: [(name: String, facts: BackendFacts)], web: WebFacts? = nil,
        commands: [(module: String, name: String)] = []
    ) {
        self.backends = backends
        self.web = web
        self.commands = commands
    }
}

/// A plug-in that checks its settings against the rest of the configuration.
public protocol ConfigurationReviewing: ModulePlugIn {
    /// Reports errors and warnings to the root of the configuration.
    func review(_ facts: ConfigurationFacts, _ root: SettingsSection)
}

/// A plug-in whose modules keep secrets in the store.
public protocol SecretStoring: ModulePlugIn {
    /// True if this configuration needs the key of the store.
    var storesSecrets: Bool { get }
}

/// A plug-in whose modules declare their commands while they run, and store them for the next start.
public protocol CommandRecalling: ModulePlugIn {
    /// Returns the names of the commands that a module had in its latest run; none if it has never run.
    /// - Parameter storage: the module's records, opened read-only.
    func recalledCommands(of module: String, from storage: any Storage) async throws -> [String]
}

/// A plug-in, of a backend or of modules, with metrics of its own.
public protocol MetricsDescribing: Sendable {
    /// The help text of each metric, by its Prometheus name.
    static var metricsHelp: [String: String] { get }
}

/// A plug-in that can explain what a line would do, for `petrel explain`.
public protocol LineExplaining: ModulePlugIn {
    /// Explains a line without running it. Returns nil if there is no explanation for the command.
    /// - Parameters:
    ///   - arguments: the part of the line after the command's name.
    ///   - storage: the module's records, opened read-only; nil where there are none.
    func explain(
        _ arguments: String, of command: String, in module: String, storage: (any Storage)?
    ) async throws -> LineExplanation?
}

/// An explanation of what a line would do.
public struct LineExplanation: Sendable {
    /// The arguments as the command would parse them; access rules evaluate this form.
    public var parsed: ParsedLine
    /// The explanation for people, a label and a text for each line.
    public var rows: [(label: String, text: String)]
    /// The explanation for programs, as members of a JSON object.
    public var fields: [String: JSONValue]

    /// Creates an explanation.
    public init(parsed: ParsedLine, rows: [(label: String, text: String)], fields: [String: JSONValue]) {
        self.parsed = parsed
        self.rows = rows
        self.fields = fields
    }
}

/// A part of `petrel demo` that runs beside the bot, such as a simulated service.
public protocol DemoPart: Sendable {
    /// Runs the part, calls a closure with the keys that the configuration needs for it, and ends when that returns.
    static func run(_ options: LaunchOptions, _ body: @Sendable ([String: JSONValue]) async throws -> Void) async throws
}
