import Foundation

/// The kinds of plug-ins for which there are templates.
package enum PlugInKind: String, Sendable, CaseIterable {
    /// A connection to a chat service.
    case backend
    /// A set of commands.
    case module
}

/// The languages of the templates.
package enum PlugInLanguage: String, Sendable, CaseIterable {
    /// Python, with the SDK.
    case python
    /// POSIX sh, with jq.
    case sh
}

/// A file of a new plug-in.
package struct PlugInFile: Sendable {
    /// The path below the folder of the plug-in.
    package var path: String
    /// The content.
    package var content: String
    /// The permissions, to which the umask of the process applies.
    package var permissions: UInt16

    /// True if the file is a program.
    package var isExecutable: Bool { permissions & 0o111 != 0 }
}

/// The files of a new plug-in.
package struct PlugInTemplate: Sendable {
    /// The kind of the plug-in.
    package let kind: PlugInKind
    /// The language of the plug-in.
    package let language: PlugInLanguage
    /// The name of the plug-in, which is also the name of its folder.
    package let name: PlugInName

    /// Creates the template of a plug-in.
    package init(_ kind: PlugInKind, in language: PlugInLanguage, named name: PlugInName) {
        self.kind = kind
        self.language = language
        self.name = name
    }

    /// The files, in the order in which a reader should open them.
    package var files: [PlugInFile] {
        sources.map { source in
            PlugInFile(
                path: filled(source.path), content: filled(String(decoding: source.content, as: UTF8.self)),
                permissions: source.permissions)
        }
    }

    /// The shell command that runs the tests in the folder of the plug-in.
    package var testCommand: [String] {
        switch language {
        case .python: ["python3", filled("test_{{identifier}}.py")]
        case .sh: ["sh", filled("test_{{name}}.sh")]
        }
    }

    private var sources: [Source] {
        let own =
            switch (kind, language) {
            case (.module, .python): Source.pythonModule
            case (.backend, .python): Source.pythonBackend
            case (.module, .sh): Source.shModule
            case (.backend, .sh): Source.shBackend
            }
        return own + [Source(".gitignore", PackageResources.gitignore_txt)]
    }

    private func filled(_ text: String) -> String {
        Placeholders.fill(text, ["name": name.text, "identifier": name.identifier])
    }
}

/// A file of a template, with placeholders in its path and its content.
private struct Source {
    var path: String
    var content: [UInt8]
    var permissions: UInt16

    init(_ path: String, _ content: [UInt8], permissions: UInt16 = 0o666) {
        self.path = path
        self.content = content
        self.permissions = permissions
    }

    static func program(_ path: String, _ content: [UInt8]) -> Source { Source(path, content, permissions: 0o777) }

    /// A configuration may contain secrets, so that only the user and the group can read it.
    static func configuration(_ content: [UInt8]) -> Source { Source("config.json", content, permissions: 0o640) }

    static let pythonSDK = Source("petrel_plugin.py", PackageResources.petrel_plugin_py)

    static let pythonModule = [
        program("{{name}}.py", PackageResources.python_module_py_txt),
        program("test_{{identifier}}.py", PackageResources.python_module_test_py_txt),
        configuration(PackageResources.python_module_json_txt),
        Source("README.md", PackageResources.python_module_md_txt), pythonSDK,
    ]

    static let pythonBackend = [
        program("{{name}}.py", PackageResources.python_backend_py_txt),
        program("test_{{identifier}}.py", PackageResources.python_backend_test_py_txt),
        program("client.py", PackageResources.python_client_py_txt),
        configuration(PackageResources.python_backend_json_txt),
        Source("README.md", PackageResources.python_backend_md_txt), pythonSDK,
    ]

    static let shModule = [
        program("{{name}}.sh", PackageResources.sh_module_sh_txt),
        program("test_{{name}}.sh", PackageResources.sh_module_test_sh_txt),
        configuration(PackageResources.sh_module_json_txt),
        Source("README.md", PackageResources.sh_module_md_txt),
    ]

    static let shBackend = [
        program("{{name}}.sh", PackageResources.sh_backend_sh_txt),
        program("test_{{name}}.sh", PackageResources.sh_backend_test_sh_txt),
        configuration(PackageResources.sh_backend_json_txt),
        Source("README.md", PackageResources.sh_backend_md_txt),
    ]
}
