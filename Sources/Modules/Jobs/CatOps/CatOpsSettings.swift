import Foundation
import JobEngine
import PetrelKit
import PetrelSupport
import PlugInProtocol
import ProcessModule

/// The settings of a folder of plug-ins for CatOps: the section `jobs.catops`.
struct CatOpsSettings: Sendable {
    /// The name of the module that runs the plug-ins.
    static let module = "jobs.catops"
    private static let program = "python/petrel_catops.py"

    /// The program that runs the plug-ins.
    var launch: PlugInLaunch
    /// The definition from which that of each function is made.
    var template: CommandDefinition

    /// Returns the definition of the command of a function.
    func definition(of function: DeclaredCommand) -> CommandDefinition {
        var definition = template
        definition.name = function.name
        definition.help.summary = function.summary
        definition.isFunction = true
        return definition
    }
}

extension CatOpsSettings {
    /// Reads a section, and reports every error to it.
    init(_ section: SettingsSection, _ format: ReplyFormat, _ groups: [String: [String]]) {
        var template = CommandDefinition(all: "functions", of: section, format, groups)
        template.answer = .reply
        self.template = template
        launch = Self.launch(section)
        section.finish()
    }

    private static func review(_ plugins: String, _ section: SettingsSection) {
        if section.contains("plugins"), plugins.isBlank { return section.problem("plugins", "must not be empty") }
        if plugins.utf8.contains(0) { return section.problem("plugins", "must not contain a NUL character") }
        let path = section.path(of: plugins)
        var isFolder: ObjCBool = false
        if !FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) {
            section.warn("plugins", "the folder \(path) does not exist")
        } else if !isFolder.boolValue {
            section.problem("plugins", "\(path) is not a folder")
        }
    }

    private static func launch(_ section: SettingsSection) -> PlugInLaunch {
        let python = section.string("python", default: "python3")
        if python.isBlank { section.problem("python", "must not be empty") }
        let plugins = section.requiredString("plugins")
        // Petrel limits the time of calls itself.
        var settings: [String: JSONValue] = ["plugins": .string(section.path(of: plugins)), "record": true]
        if section.contains("include_functions") {
            let names = section.strings("include_functions")
            if names.isEmpty { section.warn("include_functions", "is empty, so there are no commands") }
            settings["include_functions"] = .array(names.map { .string($0) })
        }
        if section.contains("load_timeout") {
            settings["load_timeout"] = .integer(section.integer("load_timeout", default: 30, in: 1...3_500))
        }
        let installed = Installation.file(program)
        if installed == nil {
            section.problem("plugins", "cannot be run: the installation has no share/petrel/\(program)")
        }
        review(plugins, section)
        let (environment, secrets) = PlugInLaunch.environment(of: section)
        let isPath = python.utf8.contains(UInt8(ascii: "/"))
        let path = environment["PATH"] ?? section.environment["PATH"] ?? ""
        if !isPath, !python.isBlank, ProgramFile.path(of: python, in: path) == nil {
            section.warn("python", "the program \(python) is not in PATH")
        } else if isPath, let objection = ProgramFile.objection(to: section.path(of: python)) {
            section.warn("python", "\(section.path(of: python)) \(objection)")
        }
        return PlugInLaunch(
            name: module, command: [isPath ? section.path(of: python) : python, installed ?? program],
            folder: section.folder.path, environment: environment, settings: .object(settings), secrets: secrets)
    }
}
