import Foundation
import GRDB
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import PetrelStore

/// Tests of writes, with and without space on the disk.
@Suite(.timeLimit(.minutes(30))) struct WriteQueueTests {
    static func withStore(_ body: (Store, String) async throws -> Void) async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("petrel.db").path
            try await body(Store(path: path, keys: .ephemeral()), path)
        }
    }

    /// Limits the database to its current size plus a number of pages, like a full disk. Nil removes the limit.
    static func fill(_ store: Store, pages: Int?) throws {
        try store.database.writeWithoutTransaction { database in
            let used = try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0
            try database.execute(sql: "PRAGMA max_page_count = \(pages.map { used + $0 } ?? 1_000_000)")
        }
    }

    static func entry(_ line: String) -> AuditEntry {
        AuditEntry(
            backend: "b", person: "p", name: "n", room: nil, line: line, isAllowed: true, rule: nil, reason: "")
    }

    static func outboxEntry(_ number: Int64, _ text: String = "x", in room: String = "#ops") -> OutboxEntry {
        OutboxEntry(number: number, reply: Reply(text), address: Address(backend: "b", place: .room(room)), said: .now)
    }

    @Test func `the write-ahead log stays small and is removed on close`()
        async throws
    {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("petrel.db").path
            let value = [UInt8](repeating: 7, count: 1 << 20)
            for round in 0..<8 {
                let store = try Store(path: path, keys: .ephemeral())
                let records = store.storage(for: "m").records("c")
                for number in 0..<(1 << round) {
                    records.put(value, for: "\(number % 10)")
                    #expect(await store.written())
                    let log = try FileManager.default.attributesOfItem(atPath: path + "-wal")[.size] as? Int
                    #expect(try #require(log) < 24 << 20)
                }
                try store.close()
                #expect(!FileManager.default.fileExists(atPath: path + "-wal"))
            }
            let all = try await Store(path: path, keys: .ephemeral()).storage(for: "m").records("c").all()
            #expect(all.count == 10 && all.allSatisfy { $0.value == value })
        }
    }

    @Test func `changes that are submitted during a transaction are written in the next one`() async throws {
        // Without the timer, which would begin a further transaction at a time that depends on the machine.
        let queue = WriteQueue(try DatabaseQueue()) { _, _ in }
        let batches = Locked(0)
        queue.observe { _ in batches.withLock { $0 += 1 } }
        let begun = Signal()
        let gate = DispatchSemaphore(value: 0)
        let first = queue.submit { _ in
            begun.open()
            gate.wait()
        }
        queue.flush(through: first)
        await begun.wait()
        for number in 0..<1_000 { queue.submit { try $0.execute(sql: "SELECT \(number)") } }
        queue.flush(through: .max)
        gate.signal()
        #expect(await queue.written())
        #expect(batches.value == 2)
    }

    @Test func `a full disk is reported, and changes are buffered and written when there is space`()
        async throws
    {
        try await Self.withStore { store, path in
            let records = store.storage(for: "m").records("c")
            try await records.set([1], for: "before")
            try Self.fill(store, pages: 0)
            for number in 0..<200 { records.put(Array(repeating: 7, count: 400), for: "\(number)") }
            #expect(await store.written() == false)
            let trouble = try #require(store.status().first)
            #expect(!trouble.isHealthy && trouble.detail.contains(" changes are buffered in memory: SQLite error 13"))
            #expect(try await records.value(for: "before") == [1])
            await #expect(throws: (any Error).self) {
                try await records.set(Array(repeating: 1, count: 9_000), for: "k")
            }
            let lines = (0..<20).map { String(repeating: "\($0) ", count: 500) }
            for line in lines { store.audit.record(Self.entry(line)) }
            await #expect(throws: Refusal.self) { try await store.audit.entries(AuditQuery()) }
            try Self.fill(store, pages: nil)
            #expect(await store.written())
            #expect(store.status().isEmpty)
            #expect(try await records.all().count == 201)
            #expect(try await store.audit.entries(AuditQuery()).map(\.line) == lines.reversed())
            try store.close()
            #expect(try Store(readingOnly: path).findings().problems.isEmpty)
        }
    }

    @Test func `an operation that depends on unwritten changes fails at once`() async throws {
        try await Self.withStore { store, _ in
            let ledger = store.storage(for: "m").ledger
            let entry = LedgerEntry(content: [1], source: "a")
            #expect(try await ledger.unsaid(among: [entry]) == [entry])
            try Self.fill(store, pages: 0)
            _ = store.outbox.add(
                Self.outboxEntry(1, String(repeating: "x", count: 9_000)), MessageTransaction(entry: entry), of: "m")
            #expect(await store.written() == false)
            // The entry was announced, but the ledger does not contain it yet.
            await #expect(throws: WritesAreFailing.self) { try await ledger.unsaid(among: [entry]) }
            #expect(await store.storage(for: "m").written() == false)
            try Self.fill(store, pages: nil)
            #expect(await store.written())
            #expect(try await ledger.unsaid(among: [entry]).isEmpty)
        }
    }

    @Test func `a closed store is a single file`() async throws {
        try await Self.withStore { store, path in
            store.storage(for: "m").records("c").put([1], for: "a")
            #expect(await store.written())
            try store.close()
            for suffix in ["-wal", "-shm"] { #expect(!FileManager.default.fileExists(atPath: path + suffix)) }
            let again = try Store(path: path, keys: .ephemeral())
            #expect(try await again.storage(for: "m").records("c").value(for: "a") == [1])
        }
    }

    @Test func `a rejected change does not affect others`() async throws {
        let store = try Store()
        let records = store.storage(for: "m").records("c")
        records.put([1], for: "a")
        store.queue.submit { try $0.execute(sql: "INSERT INTO nowhere VALUES (1)") }
        records.put([2], for: "b")
        #expect(await store.written())
        #expect(try await records.all().map(\.key) == ["a", "b"])
    }

    @Test func `an outbox entry, its ledger entry and the removal of a record are one transaction`() async throws {
        try await Self.withStore { store, _ in
            let storage = store.storage(for: "st2")
            storage.records("open").put([1], for: "request")
            #expect(await store.written())
            let content: [UInt8] = [1, 2, 3]
            func say(_ number: Int64) {
                _ = store.outbox.add(
                    Self.outboxEntry(number, String(repeating: "x", count: 9_000)),
                    MessageTransaction(entry: LedgerEntry(content: content), closes: ("open", "request")), of: "st2")
            }
            try Self.fill(store, pages: 0)
            say(1)
            #expect(await store.written() == false)
            // The outbox must not look empty: it includes the buffered changes.
            await #expect(throws: (any Error).self) {
                try await store.outbox.pending(in: nil, after: 0, through: .max, limit: 10)
            }
            #expect(try await storage.records("open").value(for: "request") == [1])
            await #expect(throws: (any Error).self) { try await storage.ledger.last() }
            try Self.fill(store, pages: nil)
            #expect(await store.written())
            #expect(try await store.outbox.pending(in: nil, after: 0, through: .max, limit: 10).map(\.number) == [1])
            #expect(try await storage.records("open").value(for: "request") == nil)
            #expect(try await storage.ledger.last() == 1)
        }
    }
}
