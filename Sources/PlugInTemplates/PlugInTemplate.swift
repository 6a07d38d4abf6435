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
    /// A Swift package, which builds a bot of its own.
    case swift
}

/// The package Petrel, as a package in Swift depends on it.
package enum PetrelPackage: Sendable {
    /// A checkout at an absolute path.
    case path(String)
    /// A repository, whose branch `main` is used.
    case url(String)

    /// The identity by which a manifest names the package: the last part of the address, without `.git`.
    package var identity: String {
        let address =
            switch self {
            case .path(let path): path
            case .url(let url): url
            }
        let last = address.split(separator: "/").last.map(String.init) ?? ""
        return last.hasSuffix(".git") ? String(last.dropLast(4)) : last
    }

    fileprivate var dependency: String {
        switch self {
        case .path(let path): ".package(path: \(Self.literal(path)))"
        case .url(let url): ".package(url: \(Self.literal(url)), branch: \"main\")"
        }
    }

    /// Returns the text as a string literal of Swift.
    fileprivate static func literal(_ text: String) -> String {
        let scalars = text.unicodeScalars.map { scalar in
            switch scalar {
            case "\\", "\"": "\\\(scalar)"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F: "\\u{\(String(scalar.value, radix: 16))}"
            default: String(scalar)
            }
        }
        return "\"\(scalars.joined())\""
    }
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
    private let petrel: PetrelPackage

    /// Creates the template of a plug-in. Only a package in Swift contains the dependency on Petrel.
    package init(
        _ kind: PlugInKind, in language: PlugInLanguage, named name: PlugInName, petrel: PetrelPackage = .path("")
    ) {
        self.kind = kind
        self.language = language
        self.name = name
        self.petrel = petrel
    }

    /// The files, in the order in which a reader should open them.
    package var files: [PlugInFile] {
        sources.map { source in
            PlugInFile(
                path: filled(source.path), content: filled(String(decoding: source.content, as: UTF8.self)),
                permissions: source.permissions)
        }
    }

    private var sources: [Source] {
        let own =
            switch (kind, language) {
            case (.module, .python): Source.pythonModule
            case (.backend, .python): Source.pythonBackend
            case (.module, .sh): Source.shModule
            case (.backend, .sh): Source.shBackend
            case (.module, .swift): Source.swiftModule
            case (.backend, .swift): Source.swiftBackend
            }
        return own + [Source(".gitignore", PackageResources.gitignore_txt)]
    }

    private func filled(_ text: String) -> String {
        Placeholders.fill(
            text,
            [
                "name": name.text, "identifier": name.identifier, "type": name.type, "package": petrel.identity,
                "dependency": petrel.dependency,
            ])
    }
}

extension PlugInTemplate {
    /// The commands that test the plug-in, check its configuration, and run a bot with it.
    /// - Parameters:
    ///   - folder: the path of the folder of the plug-in.
    ///   - program: the path of Petrel's program.
    package func commands(in folder: String, program: String) -> [[String]] {
        let config = ["--config", "\(folder)/config.json"]
        let own = ["swift", "run", "--package-path", folder, name.text]
        let bot = language == .swift ? own : [program]
        let test =
            switch language {
            case .python: ["python3", "\(folder)/test_\(name.identifier).py"]
            case .sh: ["sh", "\(folder)/test_\(name.text).sh"]
            case .swift: ["swift", "test", "--package-path", folder]
            }
        return [test, bot + ["check"] + config, bot + ["run"] + config]
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

    static let swiftModule = [
        Source("Package.swift", PackageResources.swift_module_package_swift_txt),
        Source("Sources/{{type}}Module/{{type}}Module.swift", PackageResources.swift_module_swift_txt),
        Source("Sources/{{type}}Module/{{type}}PlugIn.swift", PackageResources.swift_module_plugin_swift_txt),
        Source("Sources/{{type}}Bot/Program.swift", PackageResources.swift_module_program_swift_txt),
        Source(
            "Tests/{{type}}ModuleTests/{{type}}ModuleTests.swift", PackageResources.swift_module_test_swift_txt),
        configuration(PackageResources.swift_module_json_txt),
        Source("README.md", PackageResources.swift_module_md_txt),
    ]

    static let swiftBackend = [
        Source("Package.swift", PackageResources.swift_backend_package_swift_txt),
        Source("Sources/{{type}}Backend/{{type}}Backend.swift", PackageResources.swift_backend_swift_txt),
        Source("Sources/{{type}}Backend/Session.swift", PackageResources.swift_backend_session_swift_txt),
        Source("Sources/{{type}}Backend/{{type}}PlugIn.swift", PackageResources.swift_backend_plugin_swift_txt),
        Source("Sources/{{type}}Bot/Program.swift", PackageResources.swift_backend_program_swift_txt),
        Source(
            "Tests/{{type}}BackendTests/{{type}}BackendTests.swift", PackageResources.swift_backend_test_swift_txt),
        Source("Tests/{{type}}BackendTests/LobbyStage.swift", PackageResources.swift_backend_stage_swift_txt),
        Source("Tests/{{type}}BackendTests/Client.swift", PackageResources.swift_backend_client_swift_txt),
        program("client.py", PackageResources.python_client_py_txt),
        configuration(PackageResources.swift_backend_json_txt),
        Source("README.md", PackageResources.swift_backend_md_txt),
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
