package import Foundation
package import PetrelCore
package import PetrelKit
import PetrelStore
import PetrelSupport
import PetrelWeb

/// An entry of `backends`.
package struct ConfiguredBackend: Sendable {
    /// The name of the backend.
    package var name: String
    /// The settings of the backend.
    package var plugIn: any BackendPlugIn

    /// Creates an entry.
    package init(name: String, plugIn: any BackendPlugIn) {
        self.name = name
        self.plugIn = plugIn
    }

    var facts: BackendFacts { type(of: plugIn).facts }
}

/// A complete configuration.
package struct Configuration: Sendable {
    /// The settings outside of the sections of plug-ins.
    package var core: CoreSettings
    /// The backends.
    package var backends: [ConfiguredBackend]
    /// The settings of the module plug-ins.
    package var modules: [any ModulePlugIn]
    /// The warnings about probable errors.
    package var warnings: [SettingsProblem] = []
    /// The environment of the process.
    package var environment: [String: String] = [:]
    /// The folder of static pages.
    package var pages = "html"
    /// The sections that take effect only at the start.
    private var fixed: [String: JSONValue] = [:]

    /// Creates a configuration.
    package init(core: CoreSettings, backends: [ConfiguredBackend], modules: [any ModulePlugIn]) {
        self.core = core
        self.backends = backends
        self.modules = modules
    }

    /// Reads a file. Throws ``ConfigurationFailure`` with every error in it.
    /// - Parameter isShared: whether the machine may have other users, who must not read secrets or write the file.
    static func read(
        _ path: String, _ catalog: Catalog = .current, options: LaunchOptions = LaunchOptions(), isShared: Bool = true
    ) throws(ConfigurationFailure) -> Configuration {
        let environment = ProcessInfo.processInfo.environment
        let (root, context) = try SettingsSection.root(ofFile: path, environment: environment)
        var configuration = Configuration(root, catalog, options)
        if isShared { configuration.reviewFile(path, root) }
        try configuration.finish(context, file: path)
        return configuration
    }

    /// Reads the contents of a file.
    package static func read(
        _ data: Data, file: String, folder: URL, environment: [String: String], _ catalog: Catalog
    ) throws(ConfigurationFailure) -> Configuration {
        let (root, context) = try SettingsSection.root(of: data, file: file, folder: folder, environment: environment)
        var configuration = Configuration(root, catalog, LaunchOptions())
        try configuration.finish(context, file: file)
        return configuration
    }

    /// Reads an object that does not come from a file.
    static func read(
        _ object: [String: JSONValue], _ catalog: Catalog, options: LaunchOptions = LaunchOptions()
    ) throws(ConfigurationFailure) -> Configuration {
        let context = SettingsContext(
            folder: URL(fileURLWithPath: FileManager.default.currentDirectoryPath),
            environment: ProcessInfo.processInfo.environment)
        var configuration = Configuration(SettingsSection(object, at: "", in: context), catalog, options)
        try configuration.finish(context, file: "the configuration")
        return configuration
    }

    private init(_ root: SettingsSection, _ catalog: Catalog, _ options: LaunchOptions) {
        core = CoreSettings(root)
        backends = Self.backends(root, catalog, options)
        modules = catalog.modules.compactMap { plugIn in
            guard let key = plugIn.section else { return plugIn.init([]) }
            let sections = root.sections(key)
            return sections.isEmpty ? nil : plugIn.init(sections)
        }
        environment = root.environment
        pages = Self.pages(core, root)
        reviewNames(root)
        reviewTyping(root)
        reviewKey(root)
        root.finish()
        fixed = fixed(root, catalog)
        reviewWeb(root)
        for case let plugIn as any ConfigurationReviewing in modules { plugIn.review(facts, root) }
    }

    private mutating func finish(_ context: SettingsContext, file: String) throws(ConfigurationFailure) {
        warnings = context.warnings + review()
        guard context.problems.isEmpty else { throw ConfigurationFailure(file: file, problems: context.problems) }
    }

    private static func backends(
        _ root: SettingsSection, _ catalog: Catalog, _ options: LaunchOptions
    ) -> [ConfiguredBackend] {
        let sections = root.section("backends")
        if sections.keys.isEmpty {
            let kind = catalog.backend(of: "text") ?? catalog.backends.first
            root.problem("backends", "at least one is required, such as {\"\(kind?.kind ?? "text")\": {}}")
        }
        var single: Set<String> = []
        return sections.keys.compactMap { name in
            guard let section = sections.optionalSection(name) else { return nil }
            let kind = section.string("kind", default: name)
            guard let plugIn = catalog.backend(of: kind) else {
                let known = catalog.backends.map { $0.kind }.sorted().joined(separator: ", ")
                sections.problem(name, "unknown kind of backend \"\(kind)\"; the kinds are \(known)")
                return nil
            }
            if plugIn.facts.isSingle, !single.insert(kind).inserted {
                sections.problem(name, "only one backend can be of the kind \"\(kind)\"")
            }
            if let key = plugIn.facts.webKey, section.contains(key), !root.contains("web") {
                root.problem("web", "is required: backends.\(name).\(key) needs the web server")
            }
            return ConfiguredBackend(name: name, plugIn: plugIn.init(name: name, section, options))
        }
    }

    /// Returns the configured folder of static pages, otherwise the one beside the configuration, otherwise the one of
    /// the installation.
    private static func pages(_ core: CoreSettings, _ root: SettingsSection) -> String {
        if let folder = core.web?.html { return folder }
        let program = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent()
        let installed = program?.appendingPathComponent("../share/petrel/html").standardized.path
        let beside = root.path(of: "html")
        return [beside, installed].compactMap(\.self).first {
            FileManager.default.fileExists(atPath: $0 + "/index.html")
        } ?? beside
    }

    /// Returns the sections that take effect only at the start. A section that names a group is stored with the groups,
    /// because their members are also resolved at the start.
    private func fixed(_ root: SettingsSection, _ catalog: Catalog) -> [String: JSONValue] {
        let keys = ["backends", "store", "web"] + catalog.modules.compactMap { $0.section }
        // Of a section that can be reloaded, only whether it exists.
        let reloaded = Set(catalog.modules.filter { $0 is any Reloading.Type }.compactMap { $0.section })
        return keys.reduce(into: [:]) { fixed, key in
            guard let value = root.value(key) else { return }
            if reloaded.contains(key) { return fixed[key] = .bool(true) }
            fixed[key] = value.mentionsGroup ? .array([value, root.value("groups") ?? .null]) : value
        }
    }
}

extension Configuration {
    /// The facts that plug-ins check their settings against.
    private var facts: ConfigurationFacts {
        ConfigurationFacts(
            backends: backends.map { ($0.name, $0.facts) }, web: web,
            commands: outlines.flatMap { outline in outline.commands.map { (outline.name, $0) } })
    }

    /// The settings of the web server for plug-ins.
    var web: WebFacts? {
        core.web.map { WebFacts(webhookSecret: $0.webhookSecret, pages: pages, namesPages: $0.html != nil) }
    }

    /// The outlines of all modules.
    var outlines: [ModuleOutline] { modules.flatMap(\.outlines) }

    /// The policy of the dispatcher.
    var policy: Dispatcher.Policy { core.policy(modules: moduleNames) }

    /// The names of all modules.
    var moduleNames: Set<String> { Set(outlines.map(\.name)) }

    /// The backend for names that several backends could have, if the module is not known; nil if modules differ in it.
    var defaultBackend: String? {
        let all = Set(outlines.compactMap(\.defaultBackend))
        return all.count == 1 ? all.first : nil
    }

    /// True if a module stores secrets.
    var needsKey: Bool { modules.contains { ($0 as? any SecretStoring)?.storesSecrets == true } }

    /// Returns the sections that differ from another configuration and take effect only at the start.
    func differences(to other: Configuration) -> [String] {
        var names = Set(fixed.keys).union(other.fixed.keys).filter { fixed[$0] != other.fixed[$0] }
        if core.adminRooms != other.core.adminRooms { names.insert("bot.admin_rooms") }
        if core.name != other.core.name { names.insert("bot.name") }
        return names.sorted()
    }
}

extension JSONValue {
    /// True if the value contains a reference to a group.
    fileprivate var mentionsGroup: Bool {
        switch self {
        case .string(let text): text.utf8.starts(with: "group:".utf8)
        case .array(let values): values.contains(where: \.mentionsGroup)
        case .object(let object): object.values.contains(where: \.mentionsGroup)
        default: false
        }
    }
}
