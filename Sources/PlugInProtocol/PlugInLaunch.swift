import Foundation
package import PetrelKit
package import PetrelSupport

/// The settings of a plug-in that is a program: how it is started, and what it receives.
package struct PlugInLaunch: Sendable, Equatable {
    /// The name of the section: that of the backend or the module.
    package var name: String
    /// The program and its arguments.
    package var command: [String]
    /// The working directory.
    package var folder: String
    /// The environment variables of the program, besides `PATH`.
    package var environment: [String: String]
    /// The settings that `hello` carries.
    package var settings: JSONValue
    /// The texts that are masked in the log.
    package var secrets: [Secret]
    /// The time in which the plug-in has to answer a request.
    package var timeout: Duration

    /// Creates settings.
    package init(
        name: String, command: [String], folder: String, environment: [String: String] = [:],
        settings: JSONValue = [:], secrets: [Secret] = [], timeout: Duration = .seconds(60)
    ) {
        self.name = name
        self.command = command
        self.folder = folder
        self.environment = environment
        self.settings = settings
        self.secrets = secrets
        self.timeout = timeout
    }

    /// Reads the settings of a section, and reports every error to it.
    package init(name: String, _ section: SettingsSection) {
        self.init(name: name, command: section.strings("command"), folder: section.folder.path)
        if command.isEmpty || command[0].isEmpty {
            section.problem("command", "is required: the program and its arguments, such as [\"./plugin.py\"]")
        }
        if command.contains(where: { $0.utf8.contains(0) }) {
            section.problem("command", "must not contain a NUL character")
        }
        let (value, texts) = section.resolved("settings")
        settings = value ?? [:]
        let (variables, more) = Self.environment(of: section)
        environment = variables
        secrets = texts + more
        timeout = .seconds(section.integer("timeout", default: 60, in: 1...3_600))
        if let program = command.first, program.utf8.contains(UInt8(ascii: "/")) {
            command[0] = section.path(of: program)
            if !FileManager.default.fileExists(atPath: command[0]) {
                section.warn("command[0]", "the file \(command[0]) does not exist")
            } else if !FileManager.default.isExecutableFile(atPath: command[0]) {
                section.warn("command[0]", "the file \(command[0]) is not executable; run `chmod +x \(command[0])`")
            }
        } else if let program = command.first, !program.isEmpty, !Self.isInPath(program, section.environment) {
            section.warn("command[0]", "the program \(program) is not in PATH")
        }
    }

    /// Returns the setting `environment`, and the secrets in it.
    package static func environment(of section: SettingsSection) -> ([String: String], [Secret]) {
        let (value, secrets) = section.resolved("environment")
        if let value, value.object == nil {
            section.problem("environment", "must be an object, not \(value.typeName)")
        }
        var environment: [String: String] = [:]
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

    private static func isInPath(_ program: String, _ environment: [String: String]) -> Bool {
        let folders = environment["PATH"] ?? ProcessInfo.processInfo.environment["PATH"] ?? ""
        return folders.utf8.split(separator: UInt8(ascii: ":")).contains {
            FileManager.default.isExecutableFile(atPath: "\(Substring($0))/\(program)")
        }
    }

    /// Returns a text with the secrets of the settings replaced by `•••`.
    package func masked(_ text: String) -> String {
        secrets.reduce(text) { text, secret in
            let value = secret.reveal()
            return value.isEmpty ? text : text.replacing(value, with: "•••")
        }
    }
}
