import Foundation
package import PetrelKit
import PetrelSupport
import PlugInProtocol

/// The plug-in for the section `jobs.catops`: a folder of plug-ins for CatOps, which a program in Python runs.
///
/// The section is a short form of one in `modules`, whose program is `petrel_catops.py` of the installation.
package struct CatOpsPlugIn: ModulePlugIn {
    package static let section: String? = "jobs"
    /// The name of the module.
    private static let name = "catops"
    private static let program = "python/petrel_catops.py"

    private let launch: PlugInLaunch?

    /// Reads the key `catops` of the section `jobs`; another plug-in reads the others.
    package init(_ sections: [SettingsSection]) {
        launch = sections.first?.optionalSection("catops").map { Self.launch($0) }
    }

    private static func launch(_ section: SettingsSection) -> PlugInLaunch {
        let python = section.string("python", default: "python3")
        let plugins = section.requiredString("plugins")
        let timeout = section.integer("timeout", default: 60, in: 1...3_500)
        var settings: [String: JSONValue] = [
            "plugins": .string(section.path(of: plugins)), "timeout": .integer(timeout),
        ]
        if section.contains("include_functions") {
            settings["include_functions"] = .array(section.strings("include_functions").map { .string($0) })
        }
        let installed = Installation.file(program)
        if installed == nil {
            section.problem("plugins", "cannot be run: the installation has no share/petrel/\(program)")
        }
        if section.contains("load_timeout") {
            settings["load_timeout"] = .integer(section.integer("load_timeout", default: 30, in: 1...3_500))
        }
        let (environment, secrets) = environment(section)
        section.finish()
        if !plugins.isEmpty, !FileManager.default.fileExists(atPath: section.path(of: plugins)) {
            section.warn("plugins", "the folder \(section.path(of: plugins)) does not exist")
        }
        let isPath = python.utf8.contains(UInt8(ascii: "/"))
        return PlugInLaunch(
            name: name, command: [isPath ? section.path(of: python) : python, installed ?? program],
            folder: section.folder.path, environment: environment, settings: .object(settings), secrets: secrets)
    }

    /// Returns the environment variables of the plug-ins, and the secrets in them.
    private static func environment(_ section: SettingsSection) -> ([String: String], [Secret]) {
        let (value, secrets) = section.resolved("environment")
        var environment: [String: String] = [:]
        if let value, value.object == nil {
            section.problem("environment", "must be an object, not \(value.typeName)")
        }
        for (key, value) in value?.object ?? [:] {
            guard case .string(let text) = value, !key.isEmpty, !key.utf8.contains(where: { $0 == 0 || $0 == 0x3D }),
                !text.utf8.contains(0)
            else {
                section.problem("environment.\(key)", "must be a string without NUL, under a name without `=`")
                continue
            }
            environment[key] = text
        }
        return (environment, secrets)
    }

    package var outlines: [ModuleOutline] {
        launch == nil
            ? []
            : [
                ModuleOutline(
                    Self.name, naming: "jobs.catops", commands: [], addsCommands: true,
                    exposure: "every function of jobs.catops.plugins")
            ]
    }

    package func makeModules(_ context: ModuleContext) throws -> [any BotModule] {
        launch.map { [ProcessModule($0, context.host(for: Self.name))] } ?? []
    }
}
