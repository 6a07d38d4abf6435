import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

/// A folder of scripts, for tests.
struct ScriptFolder: Sendable {
    let url: URL
    var path: String { url.path }

    /// Makes a folder, calls the body, and removes the folder.
    static func with(_ body: (ScriptFolder) async throws -> Void) async throws {
        try await withFolder { folder in
            let scripts = ScriptFolder(url: folder.appendingPathComponent("scripts"))
            try FileManager.default.createDirectory(
                at: scripts.url, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
            try await body(scripts)
        }
    }

    /// Writes a script in one step, as an installation does.
    func write(_ name: String, _ lines: String, permissions: Int = 0o755) throws {
        let file = url.appendingPathComponent(name)
        let new = url.appendingPathComponent(".new")
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o755])
        try Data((lines + "\n").utf8).write(to: new)
        try FileManager.default.setAttributes([.posixPermissions: permissions], ofItemAtPath: new.path)
        guard rename(new.path, file.path) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }

    /// Writes a script of sh.
    func sh(_ name: String, _ lines: String, permissions: Int = 0o755) throws {
        try write(name, "#!/bin/sh\n" + lines, permissions: permissions)
    }

    /// Writes those scripts again that did not tell their help within five seconds, so that they are asked again.
    func renew(slowIn house: JobsHouse) async throws {
        let list = await house.ask("!scripts", as: "@root")
        for line in list.components(separatedBy: "\n") where line.contains("it took longer than") {
            let name = String(line.dropFirst(2).prefix { $0 != ":" })
            try write(name, String(contentsOf: url.appendingPathComponent(name), encoding: .utf8))
        }
    }

    func remove(_ name: String) throws { try FileManager.default.removeItem(at: url.appendingPathComponent(name)) }

    func setPermissions(_ permissions: Int, of name: String = "") throws {
        let file = name.isEmpty ? url : url.appendingPathComponent(name)
        try FileManager.default.setAttributes([.posixPermissions: permissions], ofItemAtPath: file.path)
    }

    /// Runs a bot with the folder.
    func run<Value: Sendable>(
        _ settings: [String: JSONValue] = [:], jobs: [String: JSONValue] = [:], rules: JSONValue = [],
        traits: JobsHouse.Traits = .standard, lines: Locked<[String]>? = nil,
        _ body: @Sendable (JobsHouse) async throws -> Value
    ) async throws -> Value {
        let section = ["directory": .string(path), "auth_strategy": "any"].merging(settings) { $1 }
        let jobs = jobs.merging(["scripts": .object(section)]) { $1 }
        let logger = lines.map { lines in Logger(label: "test") { _ in CollectingLogHandler(lines) } }
        return try await JobsHouse(.object(jobs), rules: rules, traits: traits.backend, logger: logger).run(body)
    }
}

extension JobsHouse {
    /// The kinds of backends of these tests.
    enum Traits: Sendable {
        /// Threads and private replies.
        case standard
        /// Also buttons and attachments.
        case slack

        var backend: BackendTraits {
            switch self {
            case .standard: BackendTraits(threads: true, privateReplies: true)
            case .slack:
                BackendTraits(mrkdwn: true, threads: true, privateReplies: true, attachments: true, forms: true)
            }
        }
    }

    /// Sends a line until the reply contains a text, because programs start some time later.
    func ask(_ line: String, as person: String = "@alice", in room: String? = "#ops", containing text: String) async
        -> String
    {
        let end = ContinuousClock.now + RecordingBackend.patience
        while true {
            let reply = await ask(line, as: person, in: room)
            if reply.contains(text) || ContinuousClock.now > end { return reply }
            await Task.yield()
        }
    }

    /// Sends a line until the reply has this beginning, because changes of files are noticed some time later.
    func ask(
        _ line: String, until beginning: String, as person: String = "@alice", in room: String? = "#ops"
    ) async -> String {
        let end = ContinuousClock.now + RecordingBackend.patience
        while true {
            let reply = await ask(line, as: person, in: room)
            if reply.hasPrefix(beginning) || ContinuousClock.now > end { return reply }
            await Task.yield()
        }
    }
}
