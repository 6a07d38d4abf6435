import Foundation
import JobsModule
package import PetrelKit
package import PetrelSupport
package import PetrelTesting

/// The module of jobs, for tests of backends.
package enum JobsFixture {
    /// The settings: commands that end, that fail and that wait, with replies that a test can recognise.
    package static let settings: JSONValue = [
        "commands": [
            "hello": ["command": "echo", "args": ["hello"], "auth_strategy": "any"],
            "broken": ["command": "sh", "args": ["-c", "echo reason >&2; exit 3"], "auth_strategy": "any"],
            "threaded": [
                "command": "sh", "args": ["-c", #"printf '{"text": "below", "thread": %s}' "$1""#, "sh"],
                "auth_strategy": "any", "no_handshake": true, "answer": "json",
            ],
            "slow": [
                "command": "sh", "args": ["-c", "echo step one; sleep 2; echo step two; exec sleep 600"],
                "auth_strategy": "any",
            ],
        ],
        "templates": [
            "handshake": "accepted {{ jobid }}", "success": "{{ user }} done\n```\n{{ output }}```",
            "failure": "{{ user }} failed: {{ error }}\n```\n{{ output }}```",
        ],
    ]

    /// Returns a store with the records that a store has now, as if the process had died.
    package static func afterCrash(_ store: TestStore) async throws -> TestStore {
        let (storage, copy) = (store.storage(for: "jobs"), try TestStore())
        _ = await storage.written()
        for collection in ["jobs", "open", "confirmations"] {
            for record in try await storage.records(collection).all() {
                try await copy.storage(for: "jobs").records(collection).set(record.value, for: record.key)
            }
        }
        return copy
    }

    /// Creates the module.
    package static func module(on host: TestHost) throws -> [any BotModule] {
        let context = SettingsContext(folder: .init(fileURLWithPath: "/"), environment: ["PATH": "/usr/bin:/bin"])
        let root = SettingsSection(["jobs": settings], at: "", in: context)
        let modules = ModuleContext(loop: EventLoopExecutor()) { host.access(for: $0) }
        return try JobsPlugIn(root.sections("jobs")).makeModules(modules)
    }
}
