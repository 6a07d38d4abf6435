import Foundation

/// The languages of the templates of scripts.
package enum ScriptLanguage: String, Sendable, CaseIterable {
    /// POSIX sh.
    case sh
    /// Python.
    case python

    fileprivate var ending: String { self == .sh ? "sh" : "py" }
}

/// A new script, and its tests.
package struct ScriptTemplate: Sendable {
    /// The files: the script, and the tests, whose name begins with `_`.
    package let files: [PlugInFile]

    /// The command that runs the tests, in the folder of the files.
    /// - Parameter folder: The path of the folder.
    package func test(in folder: String) -> [String] {
        [files[1].path.hasSuffix(".py") ? "python3" : "sh", "\(folder)/\(files[1].path)"]
    }

    package init(_ language: ScriptLanguage, named name: PlugInName) {
        let content =
            switch language {
            case .sh: [PackageResources.script_sh_sh_txt, PackageResources.script_sh_test_sh_txt]
            case .python: [PackageResources.script_python_py_txt, PackageResources.script_python_test_py_txt]
            }
        files = zip(["", "_test_"], content).map { prefix, content in
            PlugInFile(
                path: "\(prefix)\(name.text).\(language.ending)",
                content: Placeholders.fill(String(decoding: content, as: UTF8.self), ["name": name.text]),
                permissions: 0o755)
        }
    }
}

/// A new configuration, and a page about it.
package enum ConfigurationTemplate {
    /// Returns the files.
    /// - Parameter user: The name of the user of the terminal.
    package static func files(user: String) -> [PlugInFile] {
        let configuration = String(decoding: PackageResources.config_json_txt, as: UTF8.self)
        return [
            // A configuration may contain secrets, so that only the user and the group can read it.
            PlugInFile(
                path: "config.json", content: Placeholders.fill(configuration, ["user": user]), permissions: 0o640),
            PlugInFile(
                path: "config.md", content: String(decoding: PackageResources.config_md_txt, as: UTF8.self),
                permissions: 0o644),
        ]
    }
}
