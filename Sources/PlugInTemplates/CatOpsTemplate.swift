/// A new folder of plug-ins for CatOps, with tests and a configuration that runs them.
package enum CatOpsTemplate {
    /// The files.
    package static let files = [
        file("plugins/example.py", PackageResources.catops_example_py_txt),
        file("test_plugins.py", PackageResources.catops_test_py_txt, permissions: 0o755),
        // A configuration may contain secrets, so that only the user and the group can read it.
        file("config.json", PackageResources.catops_json_txt, permissions: 0o640),
        file("README.md", PackageResources.catops_md_txt),
        file(".gitignore", PackageResources.gitignore_txt),
    ]

    private static func file(_ path: String, _ content: [UInt8], permissions: UInt16 = 0o644) -> PlugInFile {
        PlugInFile(path: path, content: String(decoding: content, as: UTF8.self), permissions: permissions)
    }
}
