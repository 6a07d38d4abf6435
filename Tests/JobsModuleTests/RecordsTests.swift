import FaultSuite
import Foundation
import GRDB
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import PetrelStore

/// Records of earlier runs: those that cannot be read, and those that are too old.
@Suite(.timeLimit(.minutes(20))) struct RecordsTests {
    private static let settings: JSONValue = [
        "commands": ["echo": ["command": "echo", "auth_strategy": "any", "no_handshake": true]],
        "templates": ["success": "done\n{{ output }}", "failure": "failed: {{ error }}"], "retention_days": 1,
    ]

    private static func run(
        _ store: TestStore, _ lines: Locked<[String]>? = nil,
        _ body: @escaping @Sendable (JobsHouse) async throws -> Void
    ) async throws {
        let logger = lines.map { lines in Logger(label: "test") { _ in CollectingLogHandler(lines) } }
        try await JobsHouse(settings, store: store, logger: logger).run(body)
    }

    private static func status(of house: JobsHouse) async -> String {
        await house.ask("!status", as: "@root").split(separator: "\n").first { $0.contains("jobs: ") }.map(String.init)
            ?? ""
    }

    /// Changes the stored record of a job.
    private static func edit(_ id: Int, in store: TestStore, _ change: (inout [String: JSONValue]) -> Void) async throws
    {
        let records = store.storage(for: "jobs").records("jobs")
        let key = UTCTime.digits(id, 12)
        let value = try #require(try await records.value(for: key))
        var object = try #require(JSONValue.parse(value).object)
        change(&object)
        try await records.set(try JSONValue.encode(JSONValue.object(object)), for: key)
    }

    @Test func `A record that cannot be read is skipped and logged, and the others work`() async throws {
        let store = try TestStore()
        try await Self.run(store) { house in
            for number in 1...3 { #expect(await house.ask("!echo \(number)") == "done\n\(number)\n") }
            #expect(await house.ask("!alias e echo hi").contains("created"))
        }
        let storage = store.storage(for: "jobs")
        for collection in ["tokens", "aliases", "jobs", "open"] {
            try await storage.records(collection).set(Array(#"{"x": 1}"#.utf8), for: "zz")
        }
        try await storage.records("jobs").set(Array("{".utf8), for: UTCTime.digits(2, 12))
        let lines = Locked<[String]>([])
        try await Self.run(store, lines) { house in
            #expect(await house.ask("!e there") == "done\nhi there\n")
            let list = await house.ask("!jobs")
            #expect(list.contains("\n4 - ") && list.contains("\n3 - ") && list.contains("\n1 - "), "\(list)")
            #expect(!list.contains("\n2 - "))
            #expect(await house.ask("!job 2").contains("There is no job 2 of yours"))
            #expect(await house.ask("!audit -status successful", as: "@root").contains("3 - "))
            let status = await Self.status(of: house)
            #expect(status.hasPrefix("ok ") && status.contains("4 stored records cannot be read"), "\(status)")
        }
        for subject in ["token", "aliases of a person", "job 2"] {
            #expect(
                lines.value.count { $0.contains("A stored record (\(subject)) cannot be read") } == 1, "\(lines.value)")
        }
    }

    @Test func `Retention goes on beside records that cannot be read, and numbers are not used again`() async throws {
        let store = try TestStore()
        try await Self.run(store) { house in
            for number in 1...4 { #expect(await house.ask("!echo \(number)") == "done\n\(number)\n") }
        }
        let storage = store.storage(for: "jobs")
        try await storage.records("jobs").set(Array("{".utf8), for: UTCTime.digits(1, 12))
        for id in 2...4 {
            try await Self.edit(id, in: store) {
                $0["ended"] = .number(Date.now.timeIntervalSinceReferenceDate - 90_000)
            }
        }
        let changes = Changes()
        store.store.queue.observe { _ in changes.note() }
        try await Self.run(store) { house in
            try await changes.wait(until: "the records are removed") {
                try await storage.records("jobs").all().isEmpty
            }
            #expect(try await storage.logs("jobs").extent(of: UTCTime.digits(3, 12)) == nil)
        }
        try await Self.run(store) { house in
            #expect(await house.ask("!echo x") == "done\nx\n")
            #expect(await house.ask("!jobs").contains("\n5 - "))
        }
    }

    @Test func `While the records cannot be read, no job starts, the status tells it, and it is tried again`()
        async throws
    {
        let store = try TestStore()
        try await Self.run(store) { house in #expect(await house.ask("!echo a") == "done\na\n") }
        try await store.store.database.write { try $0.execute(sql: "ALTER TABLE record RENAME TO away") }
        try await Self.run(store) { house in
            let status = await Self.status(of: house)
            #expect(status.hasPrefix("FAIL jobs: 0 of 20 running, 0 waiting; stored jobs"), "\(status)")
            #expect(await house.ask("!echo b").contains("The records of jobs cannot be read at the moment"))
            #expect(await house.ask("!alias e echo").contains("The aliases cannot be read at the moment"))
            let request = WebRequest(headers: ["token": "x"], origin: "127.0.0.1")
            #expect(await house.host.request(.post, "/message", request).status == 503)
            try await store.store.database.write { try $0.execute(sql: "ALTER TABLE away RENAME TO record") }
            while await !Self.status(of: house).hasPrefix("ok ") {}
            #expect(await house.ask("!echo c") == "done\nc\n")
            #expect(await house.ask("!jobs").contains("\n2 - "))
            #expect(await house.host.request(.post, "/message", request).status == 401)
        }
    }

    private static let secretSettings: JSONValue = [
        "commands": [
            "sec": [
                "command": "echo", "auth_strategy": "any", "no_handshake": true, "secrets": ["--password"],
            ]
        ],
        "templates": ["success": "done\n{{ output }}"],
    ]

    /// Returns the plain values of all records of the module.
    private static func plainText(_ store: TestStore) async throws -> String {
        await store.store.written()
        let values = try await store.store.database.read { database in
            try Data.fetchAll(database, sql: "SELECT value FROM record WHERE module = 'jobs'")
        }
        return values.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")
    }

    @Test func `Stored lines with secrets are encrypted, and others are not`() async throws {
        let store = try TestStore()
        try await JobsHouse(Self.secretSettings, store: store).run { house in
            #expect(await !house.ask("!alias open sec plain-text").contains("Warning"))
            #expect(
                await house.ask("!alias broken sec it's", as: "@dave").contains(
                    "Warning: as it stands, the line cannot be split"))
            _ = await house.ask("!alias both sec other-text", as: "@bob")
            _ = await house.ask("!alias both sec --password hunter1", as: "@bob")
            _ = await house.ask("!alias gone sec --password hunter2", as: "@carol")
            _ = await house.ask("!alias gone sec back-to-plain", as: "@carol")
            _ = await house.ask("!token-new @bob #ops sec --password=hunter3", as: "@root", in: nil)
            _ = await house.ask("!token-new @bob #ops sec in-clear", as: "@root", in: nil)
            // The quotation mark is not closed, so that a secret may be anywhere.
            let broken = await house.ask("!token-new @bob #ops sec \"hunter4", as: "@root", in: nil)
            #expect(broken.contains("Warning: as it stands, the line cannot be split"), "\(broken)")
        }
        let text = try await Self.plainText(store)
        #expect(!text.contains("hunter") && !text.contains("other-text"), "\(text)")
        for line in ["plain-text", "back-to-plain", "in-clear"] { #expect(text.contains(line), "\(line)") }
        try await JobsHouse(Self.secretSettings, store: store).run { house in
            #expect(await house.ask("!both", as: "@bob") == "done\n--password hunter1\n")
            #expect(await house.ask("!gone", as: "@carol") == "done\nback-to-plain\n")
            let tokens = await house.ask("!tokens", as: "@root", in: nil)
            #expect(tokens.split(separator: "\n").count { $0.hasPrefix("- ") } == 3, "\(tokens)")
            #expect(await house.ask("!unalias both", as: "@bob").contains("deleted"))
            #expect(await house.ask("!both", as: "@bob").contains("Unknown command"))
        }
    }

    @Test func `A secret in the line of a built-in command is masked in the audit log`() async throws {
        try await JobsHouse(Self.secretSettings).run { house in
            for line in [
                "!tokens -command \"sec --password=hunter1\"", "!unalias q sec --password hunter2",
                "!cancel sec --password=hunter3", "!job 1 !sec --password=hunter4", "!logs sec \"--password=hunter5",
            ] { _ = await house.ask(line, as: "@root", in: nil) }
            let lines = house.host.audit.all.map(\.line)
            #expect(lines.count == 5 && !lines.contains { $0.contains("hunter") }, "\(lines)")
            #expect(lines.contains { $0.hasPrefix("unalias q sec --password ") }, "\(lines)")
        }
    }

    @Test func `Lines with secrets that were stored in clear are encrypted at the next start`() async throws {
        let store = try TestStore()
        let records = store.storage(for: "jobs").records("aliases")
        try await records.set(Array(#"{"q": "sec --password hunter2"}"#.utf8), for: "test/@alice")
        for _ in 0..<2 {
            try await JobsHouse(Self.secretSettings, store: store).run { house in
                #expect(await house.ask("!q") == "done\n--password hunter2\n")
            }
            #expect(try await !Self.plainText(store).contains("hunter2"))
        }
    }
}
