import Foundation
import GRDB
import PetrelKit
import PetrelTesting
import Testing

@testable import PetrelStore

/// Rows that another program has changed, or a damaged disk.
@Suite struct DamagedRowTests {
    /// Runs a body with a store of which a closure has changed the file.
    private static func withStore(
        _ fill: (Store) async throws -> Void, damagedBy sql: String, _ body: (Store) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("petrel.db").path
            let keys = StoreKeySource.usual(folder.appendingPathComponent("petrel.key").path)
            let first = try Store(path: path, keys: KeyRing(keys))
            try await fill(first)
            try first.close()
            let database = try DatabaseQueue(path: path)
            try await database.write { try $0.execute(sql: sql) }
            try database.close()
            let store = try Store(path: path, keys: KeyRing(keys))
            try await body(store)
            try store.close()
        }
    }

    private static func entry(_ number: Int64) -> OutboxEntry {
        OutboxEntry(
            number: number, reply: Reply("\(number)"), address: Address(backend: "b", place: .room("r")), said: .now)
    }

    @Test(arguments: ["said = 'x'", "said = 1e300", "text = x'ff'", "pieces = 'x'", "private = 'x'", "place = x'ff'"])
    func `a damaged message does not keep the others from being sent`(change: String) async throws {
        try await Self.withStore(
            { store in
                for number: Int64 in 1...3 { _ = store.outbox.add(Self.entry(number), nil, of: "m") }
                await store.outbox.flush()
                _ = try await store.outbox.pending(in: nil, after: 0, through: .max, limit: 9)
            }, damagedBy: "UPDATE outbox SET \(change) WHERE sequence = 1"
        ) { store in
            let pending = try await store.outbox.pending(in: nil, after: 0, through: .max, limit: 1)
            #expect(pending.map(\.number) == [2])
            let rest = try await store.outbox.pending(in: nil, after: 2, through: .max, limit: 9)
            #expect(rest.map(\.number) == [3])
        }
    }

    @Test func `a damaged record is left out`() async throws {
        try await Self.withStore(
            { store in
                for key in ["a", "b", "c"] { try await store.storage(for: "m").records("c").set([1], for: key) }
            }, damagedBy: "UPDATE record SET value = 5 WHERE key = 'a'"
        ) { store in
            let records = store.storage(for: "m").records("c")
            let all = try await records.all()
            let some = try await records.values(for: ["a", "b"])
            // A page that is not full would be the last one.
            let page = try await records.page(after: nil, limit: 2, backwards: false)
            #expect(all.map(\.key) == ["b", "c"] && some == ["b": [1]] && page.map(\.key) == ["b", "c"])
        }
    }

    @Test func `a damaged secret is left out, and the check of the key counts it`() async throws {
        try await Self.withStore(
            { store in
                for key in ["a", "b"] { try await store.storage(for: "m").sealed("c").set([1], for: key) }
            }, damagedBy: "UPDATE secret SET time = 'x' WHERE key = 'a'"
        ) { store in
            let all = try await store.storage(for: "m").sealed("c").all()
            let warning = try store.checkKey()
            #expect(all.map(\.key) == ["b"] && warning?.contains("Stored logins that are damaged: 1.") == true)
        }
    }

    @Test(arguments: ["time = 'x'", "time = 1e300", "rule = 'x'", "allowed = 'x'", "repeats = 'x'"])
    func `a damaged entry of the audit log is left out`(change: String) async throws {
        try await Self.withStore(
            { store in
                for line in ["a", "b"] {
                    store.audit.record(
                        AuditEntry(
                            backend: "b", person: "@a", name: "@a", room: nil, line: line, isAllowed: true, rule: nil,
                            reason: "none"))
                }
                _ = try await store.audit.entries(AuditQuery())
            }, damagedBy: "UPDATE audit SET \(change) WHERE line = 'a'"
        ) { store in
            let entries = try await store.audit.entries(AuditQuery())
            #expect(entries.map(\.line) == ["b"])
        }
    }

    @Test func `a damaged log is an error`() async throws {
        try await Self.withStore(
            { store in
                let logs = store.storage(for: "m").logs("c")
                try await logs.append([1, 2], stream: 1, to: "x")
                _ = await logs.written()
            }, damagedBy: "UPDATE log_chunk SET stream = 300"
        ) { store in
            await #expect(throws: DamagedRow.self) {
                try await store.storage(for: "m").logs("c").read("x", from: 0, limit: 10)
            }
        }
    }
}
