import Foundation

/// Programs from PyPI that the tests use, installed by `Scripts/python-tools`.
package enum PythonTools {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The error for tools that could not be installed.
    package struct Missing: Error {
        package var reason: String
    }

    /// Installs the tools and returns the path of a program. Throws ``Missing`` with the reason if that fails.
    package static func path(of name: String) async throws -> String {
        let setup = try Program([], of: root.appendingPathComponent("Scripts/python-tools").path)
        let (status, output) = await setup.end()
        guard status == 0 else { throw Missing(reason: "Scripts/python-tools: \(output)") }
        return root.appendingPathComponent(".build-python/bin/\(name)").path
    }
}
