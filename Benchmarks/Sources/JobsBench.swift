import Foundation
import JobsModule
import PetrelKit
import PetrelStore
import PetrelSupport
import PetrelTesting

/// Jobs beside a plain shell that does the same, with a store in a file.
extension Bench {
    private static let lines = 1_000_000
    private static let jobs = 600

    static func jobResults() async throws -> [Measure] {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("petrel-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = TestStore(try Store(path: folder.appendingPathComponent("petrel.db").path, keys: .ephemeral()))
        let context = SettingsContext(folder: folder, environment: ["PATH": "/usr/bin:/bin"])
        let root = SettingsSection(["jobs": settings], at: "", in: context)
        let plugIn = JobsPlugIn(root.sections("jobs"))
        let backend = RecordingBackend()
        let modules = { (host: TestHost) in
            try plugIn.makeModules(ModuleContext(loop: EventLoopExecutor()) { host.access(for: $0) })
        }
        return try await TestHost([backend], store: store).run(modules) {
            try await throughput(backend, folder) + cost(backend, folder)
        }
    }

    private static let settings: JSONValue = [
        "queue": 1_000, "templates": ["success": "ok"], "reply_styles": ["success": "text"],
        "commands": [
            "true": ["command": "true", "auth_strategy": "any", "no_handshake": true],
            "print": [
                "command": "sh", "args": ["-c", .string("yes 'a line of output' | head -n \(lines)")],
                "auth_strategy": "any",
                "no_handshake": true, "templates": ["success": "printed"],
            ],
        ],
    ]

    private static func throughput(_ backend: RecordingBackend, _ folder: URL) async throws -> [Measure] {
        let plain = try await shell("seq \(jobs) | xargs -P 20 -n 1 sh -c 'exec true'", folder)
        let start = ContinuousClock.now
        for number in 0..<jobs { backend.type("!true", as: "@p\(number % 50)", in: "#r\(number % 50)") }
        for _ in 0..<jobs { try await expect("ok", backend) }
        let time = start.duration(to: .now) / .seconds(1)
        return [
            Measure(name: "jobs, true, pool of 20", value: Double(jobs) / time, unit: "a second"),
            Measure(name: "the same with xargs -P 20", value: Double(jobs) / plain, unit: "a second"),
        ]
    }

    private static func cost(_ backend: RecordingBackend, _ folder: URL) async throws -> [Measure] {
        let plain = try await shell("yes 'a line of output' | head -n \(lines) > output", folder)
        let start = ContinuousClock.now
        backend.type("!print")
        try await expect("printed", backend)
        let time = start.duration(to: .now) / .seconds(1)
        return [
            Measure(name: "jobs, one line of output", value: time / Double(lines) * 1e6, unit: "µs"),
            Measure(name: "the same into a file", value: plain / Double(lines) * 1e6, unit: "µs"),
        ]
    }

    /// Waits for this reply. Throws ``Refusal`` after any other, but for the notice that a job waits in the queue.
    private static func expect(_ text: String, _ backend: RecordingBackend) async throws {
        while let reply = await backend.next()?.reply.text, reply != text {
            guard reply.contains("waits for a free place") else { throw Refusal("the reply is “\(reply.prefix(200))”") }
        }
    }

    /// Returns the time that a script takes, in seconds.
    private static func shell(_ script: String, _ folder: URL) async throws -> Double {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", script]
        process.currentDirectoryURL = folder
        let start = ContinuousClock.now
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            process.terminationHandler = { _ in continuation.resume() }
            do {
                try process.run()
            } catch {
                process.terminationHandler = nil
                continuation.resume(throwing: error)
            }
        }
        return start.duration(to: .now) / .seconds(1)
    }
}
