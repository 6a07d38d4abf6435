import BuiltinsModule
import Foundation
import PetrelCore
import PetrelKit
import StackStormModule

/// A configuration file, read as a whole.
struct Configuration: Sendable {
    var core: CoreSettings
    var backends: [(name: String, make: Catalog.MakeBackend)]
    var stackStorms: [StackStormModuleSettings]
    var warnings: [SettingsProblem]

    init(
        core: CoreSettings, backends: [(name: String, make: Catalog.MakeBackend)],
        stackStorms: [StackStormModuleSettings], warnings: [SettingsProblem]
    ) {
        self.core = core
        self.backends = backends
        self.stackStorms = stackStorms
        self.warnings = warnings
    }

    /// Throws ``ConfigurationFailure`` with every mistake.
    static func read(_ path: String, options: RunOptions = RunOptions()) throws(ConfigurationFailure) -> Configuration {
        let environment = ProcessInfo.processInfo.environment
        let (root, context) = try SettingsSection.root(ofFile: path, environment: environment)
        let configuration = Configuration(root, environment: environment, options: options, context: context)
        guard context.problems.isEmpty else { throw ConfigurationFailure(file: path, problems: context.problems) }
        return configuration
    }

    private init(
        _ root: SettingsSection, environment: [String: String], options: RunOptions, context: SettingsContext
    ) {
        core = CoreSettings(root)
        backends = Self.backends(root, options)
        stackStorms = root.sections("stackstorm").map { StackStormModuleSettings($0, environment: environment) }
        if stackStorms.isEmpty { root.problem("stackstorm", "is required") }
        Self.checkNames(stackStorms, root)
        root.finish()
        warnings = context.warnings
    }

    /// Two commands of one name would hide each other.
    private static func checkNames(_ stackStorms: [StackStormModuleSettings], _ root: SettingsSection) {
        var taken = Set(BuiltinsModule.names.map { Command.key($0) })
        for settings in stackStorms {
            for name in settings.commandNames where !taken.insert(Command.key(name)).inserted {
                root.problem("stackstorm", "plugin_prefix \"\(settings.prefix)\" makes a second command \"\(name)\"")
            }
        }
    }

    private static func backends(
        _ root: SettingsSection, _ options: RunOptions
    ) -> [(name: String, make: Catalog.MakeBackend)] {
        let sections = root.section("backends")
        if sections.keys.isEmpty { root.problem("backends", "at least one is required, such as {\"text\": {}}") }
        var seenText: Set<String> = []
        return sections.keys.compactMap { name in
            guard let section = sections.optionalSection(name) else { return nil }
            let kind = section.string("kind", default: name)
            guard let entry = Catalog.backends[kind] else {
                let known = Catalog.backends.keys.sorted().joined(separator: ", ")
                sections.problem(name, "no backend is of the kind \"\(kind)\"; there is \(known)")
                return nil
            }
            if kind == "text", !seenText.insert(kind).inserted {
                sections.problem(name, "there is one standard input: only one backend can be text")
            }
            return (name, entry(name, section, options))
        }
    }
}
