import BuiltinsModule
import Foundation
import JobsModule
import Logging
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport
import PetrelTesting
import Testing

/// A bot with the module of jobs, for tests.
struct JobsHouse: Sendable {
    let backend: RecordingBackend
    let host: TestHost
    let modules: [any BotModule]

    /// - Parameters:
    ///   - jobs: The section `jobs`.
    ///   - rules: The list `access_controls`.
    init(
        _ jobs: JSONValue, groups: JSONValue = [:], admins: [String] = ["@root"], rules: JSONValue = [],
        traits: BackendTraits = BackendTraits(threads: true, privateReplies: true), store: TestStore? = nil,
        logger: Logger? = nil
    ) throws {
        let (section, policy) = try Self.settings(jobs, groups: groups, admins: admins, rules: rules)
        backend = RecordingBackend(traits: traits, onTimeout: { Issue.record("\($0)") })
        host = try TestHost([backend], policy: policy, store: store, logger: logger)
        let context = ModuleContext(loop: EventLoopExecutor()) { [host] in host.access(for: $0) }
        modules = try BuiltinsPlugIn([]).makeModules(context) + JobsPlugIn([section]).makeModules(context)
    }

    /// Reads the section `jobs` and the access rules of a configuration.
    static func settings(
        _ jobs: JSONValue, groups: JSONValue = [:], admins: [String] = ["@root"], rules: JSONValue = []
    ) throws -> (SettingsSection, Dispatcher.Policy) {
        let object: [String: JSONValue] = [
            "jobs": jobs, "groups": groups, "admins": .array(admins.map { .string($0) }), "access_controls": rules,
            // Tests ask again until something has changed; beyond the limit there would be no answer.
            "bot": ["limits": ["lines_per_minute": 1_000_000]],
        ]
        let context = SettingsContext(
            folder: URL(fileURLWithPath: "/"), environment: ["PATH": "/usr/bin:/bin", "SECRET": "s3cret", "LANG": "C"])
        let root = SettingsSection(object, at: "", in: context)
        let policy = CoreSettings(root).policy(modules: ["jobs"])
        let section = try #require(root.sections("jobs").first)
        return (section, policy)
    }

    /// Runs the bot until the body returns.
    func run<Value: Sendable>(_ body: @Sendable (JobsHouse) async throws -> Value) async throws -> Value {
        try await host.run(modules) { try await body(self) }
    }

    /// Sends a line and returns the text of the next reply.
    func ask(_ line: String, as person: String = "@alice", in room: String? = "#ops") async -> String {
        backend.type(line, as: person, in: room)
        return await next()
    }

    /// Returns the text of the next reply.
    func next() async -> String { await backend.next()?.reply.text ?? "" }
}

extension String {
    /// The text with `AGE` in place of the ages of jobs, which depend on the speed of the machine.
    var withoutAges: String {
        replacing(#/ - (now|[0-9]+ [a-z]+ ago) - /#, with: " - AGE - ")
            .replacing(#/\* When (now|[0-9]+ [a-z]+ ago)/#, with: "* When AGE")
    }
}
