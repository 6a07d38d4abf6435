package import PetrelKit
import PetrelSupport
import PlugInProtocol

/// The plug-in for the section `modules`: programs that speak the protocol of docs/PluginProtocol.md. The key of each
/// section is the name of a module.
package struct ProcessModulePlugIn: ModulePlugIn {
    package static let section: String? = "modules"

    private let launches: [PlugInLaunch]

    /// Reads the sections.
    package init(_ sections: [SettingsSection]) {
        launches = sections.flatMap { modules in
            modules.keys.compactMap { name -> PlugInLaunch? in
                guard let section = modules.optionalSection(name) else { return nil }
                guard !name.isEmpty, name.utf8.count <= 64, !name.utf8.contains(UInt8(ascii: ":")) else {
                    modules.problem(name, "is not a name for a module: use 1 to 64 bytes without “:”")
                    return nil
                }
                let launch = PlugInLaunch(name: name, section)
                section.finish()
                return launch
            }
        }
    }

    package var outlines: [ModuleOutline] {
        launches.map {
            ModuleOutline(
                $0.name, commands: [], addsCommands: true, exposure: "every command of the module “\($0.name)”")
        }
    }

    package func makeModules(_ context: ModuleContext) throws -> [any BotModule] {
        launches.map { ProcessModule($0, context.host(for: $0.name)) }
    }
}

extension ProcessModulePlugIn: SecretStoring {
    /// True if a module is configured: it may keep sealed records.
    package var storesSecrets: Bool { !launches.isEmpty }
}

extension ProcessModulePlugIn: CommandRecalling {
    /// Returns the names, and the other names, of the commands that the program has declared.
    package func recalledCommands(of module: String, from storage: any Storage) async throws -> [String] {
        guard let value = try await DeclarationRecord(storage).value() else { return [] }
        return try CommandDeclaration.list(value, timeout: .zero).flatMap(\.names)
    }
}

extension ProcessModulePlugIn: MetricsDescribing {
    package static let metricsHelp = ["petrel_plugin_running": "1 if the plug-in runs, 0 if it does not."]
}
