import FaultSuite
import Foundation
import Testing

/// What the tests use from PyPI, installed by our own script.
enum PythonTools {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The path of a program. Fails with the reason where it cannot be had.
    static func path(of name: String) async throws -> String {
        let setup = try Program([], of: root.appendingPathComponent("Scripts/python-tools").path)
        let (status, output) = await setup.end()
        try #require(status == 0, "Scripts/python-tools: \(output)")
        return root.appendingPathComponent(".build-python/bin/\(name)").path
    }
}
