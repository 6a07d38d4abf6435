import Foundation

/// What the tests use from PyPI, installed by our own script.
package enum PythonTools {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    package struct Missing: Error {
        package var reason: String
    }

    /// The path of a program. Throws ``Missing``, with the reason, where it cannot be had.
    package static func path(of name: String) async throws -> String {
        let setup = try Program([], of: root.appendingPathComponent("Scripts/python-tools").path)
        let (status, output) = await setup.end()
        guard status == 0 else { throw Missing(reason: "Scripts/python-tools: \(output)") }
        return root.appendingPathComponent(".build-python/bin/\(name)").path
    }
}
