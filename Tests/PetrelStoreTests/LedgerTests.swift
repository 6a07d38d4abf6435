import Foundation
import GRDB
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import PetrelStore

@Suite struct LedgerTests {
    private static func entry(_ content: UInt8, _ source: String?) -> LedgerEntry {
        LedgerEntry(content: [content], source: source)
    }

    /// Announces something, as if it was received on the stream or found later.
    private static func say(_ entry: LedgerEntry, _ number: Int64, _ store: Store) {
        _ = store.outbox.add(WriteQueueTests.outboxEntry(number), MessageTransaction(entry: entry), of: "st2")
    }

    @Test func `received announcements are matched one to one by content`() async throws {
        let store = try Store()
        let ledger = store.storage(for: "st2").ledger
        // The same content twice, and another one once.
        for (number, content) in [(1, 7), (2, 7), (3, 8)] as [(Int64, UInt8)] {
            Self.say(Self.entry(content, nil), number, store)
        }
        let found = [
            Self.entry(7, "a"), Self.entry(8, "b"), Self.entry(7, "c"), Self.entry(7, "d"), Self.entry(9, "e"),
        ]
        #expect(try await ledger.unsaid(among: found + [Self.entry(7, "a")]).map(\.source) == ["d", "e"])
        // A matched entry never matches again, and an unsaid entry stays unsaid until it is announced.
        #expect(try await ledger.unsaid(among: found).map(\.source) == ["d", "e"])
        Self.say(Self.entry(7, "d"), 4, store)
        #expect(try await ledger.unsaid(among: found).map(\.source) == ["e"])
        // The same content once more, later.
        Self.say(Self.entry(7, nil), 5, store)
        #expect(try await ledger.unsaid(among: found + [Self.entry(7, "f")]).map(\.source) == ["e"])
    }

    @Test func `modules are separate, and old entries are removed`() async throws {
        let store = try Store()
        Self.say(Self.entry(1, nil), 1, store)
        #expect(try await store.storage(for: "other").ledger.unsaid(among: [Self.entry(1, "a")]).count == 1)
        let ledger = store.storage(for: "st2").ledger
        let last = try await ledger.last()
        Self.say(Self.entry(2, nil), 2, store)
        Self.say(Self.entry(4, nil), 3, store)
        try await ledger.forget(through: last, heardThrough: last)
        #expect(try await ledger.unsaid(among: [Self.entry(1, "a"), Self.entry(2, "b")]).map(\.source) == ["a"])
        // Entries with a source are kept longer.
        try await ledger.forget(through: last, heardThrough: last + 2)
        #expect(try await ledger.unsaid(among: [Self.entry(4, "d"), Self.entry(2, "b")]).map(\.source) == ["d"])
        #expect(try await ledger.last() == last + 1)
        ledger.note(Self.entry(3, "c"))
        #expect(try await ledger.unsaid(among: [Self.entry(3, "c")]).isEmpty)
        #expect(try await store.purgeLedger(keeping: 1) == 1)
        #expect(try await ledger.unsaid(among: [Self.entry(2, "b"), Self.entry(3, "c")]).map(\.source) == ["b"])
    }
}

@Suite struct OutboxTests {
    @Test func `outbox entries are read back unchanged and in order, for all queues or one`() async throws {
        try await WriteQueueTests.withStore { store, path in
            let outbox = store.outbox
            let reply = Reply(
                "text", style: .markdown, kind: .result, isPrivate: true, extra: ["slack": ["color": "good"]])
            let marks = DeliveryMarks(handle: "h", promises: "p", settles: "s")
            let address = Address(backend: "b", place: .direct("@bob"), thread: "t", inReplyTo: "m")
            let said = Date(timeIntervalSince1970: 1_000)
            _ = outbox.add(
                OutboxEntry(number: 3, reply: reply, address: address, marks: marks, said: said), nil, of: "")
            for number in [4, 5, 6] as [Int64] {
                _ = outbox.add(WriteQueueTests.outboxEntry(number), nil, of: "")
            }
            outbox.update(pieces: 2, of: 5) {}
            outbox.remove(4, nil) {}
            #expect(await store.written())
            try store.close()
            let again = try Store(path: path, keys: .ephemeral())
            #expect(try again.outbox.lastNumber() == 6)
            #expect(try Set(again.outbox.queues().map(\.place)) == [.direct("@bob"), .room("#ops")])
            let all = try await again.outbox.pending(in: nil, after: 0, through: .max, limit: 10)
            #expect(all.map(\.number) == [3, 5, 6])
            #expect(all[0].reply == reply && all[0].marks == marks && all[0].address == address && all[0].said == said)
            #expect(all[1].pieces == 2)
            let queue = DeliveryQueue(backend: "b", place: .room("#ops"))
            #expect(try await again.outbox.pending(in: queue, after: 5, through: .max, limit: 10).map(\.number) == [6])
        }
    }

    @Test func `a stored reply with invalid buttons is logged and keeps its text`() async throws {
        let store = try Store()
        let lines = Locked<[String]>([])
        store.tell(Logger(label: "test") { _ in CollectingLogHandler(lines) })
        let reply = Reply("text", extra: ["slack": ["color": "good"]], buttons: [Button("Again", line: "again")])
        let address = Address(backend: "b", place: .room("#ops"))
        _ = store.outbox.add(OutboxEntry(number: 7, reply: reply, address: address, said: .now), nil, of: "")
        #expect(await store.written())
        try await store.database.write {
            try $0.execute(sql: "UPDATE outbox SET controls = ?", arguments: [Data("{\"buttons\": 1}".utf8)])
        }
        let read = try await store.outbox.pending(in: nil, after: 0, through: .max, limit: 10).map(\.reply)
        #expect(read == [Reply("text", extra: ["slack": ["color": "good"]])])
        #expect(lines.value.filter { $0.contains("buttons and form of the stored message 7") }.count == 1)
    }

    @Test func `dead letters are listed, retried, dropped, and removed by age`() async throws {
        let store = try Store()
        let outbox = store.outbox
        for number in 1...4 as ClosedRange<Int64> {
            _ = outbox.add(WriteQueueTests.outboxEntry(number), nil, of: "")
            if number < 4 { outbox.markDead(number, reason: "no such room") {} }
        }
        #expect(try await outbox.deadLetters(limit: 10).map(\.entry.number) == [1, 2, 3])
        #expect(try await outbox.deadLetters(limit: 10).first?.reason == "no such room")
        #expect(try await outbox.pending(in: nil, after: 0, through: .max, limit: 10).map(\.number) == [4])
        #expect(try await outbox.retry(2) == 1)
        #expect(try await outbox.retry(4) == 0)
        #expect(try await outbox.takeRevived().map(\.number) == [2])
        #expect(try await outbox.takeRevived().isEmpty)
        #expect(try await outbox.pending(in: nil, after: 0, through: .max, limit: 10).map(\.number) == [2, 4])
        #expect(try await outbox.drop(1) == 1)
        #expect(try await outbox.purge(before: .now + 1) == 1)
        #expect(try await outbox.drop(nil) == 0)
    }

    @Test func `a store of the first version is migrated without loss`() async throws {
        try await withFolder { try await Self.upgrade(in: $0) }
    }

    private static func upgrade(in folder: URL) async throws {
        let path = folder.appendingPathComponent("petrel.db").path
        // The database as version 0.1.0 created it.
        let old = try DatabaseQueue(path: path)
        try await old.write { database in
            try database.execute(
                sql: """
                    CREATE TABLE grdb_migrations (identifier TEXT NOT NULL PRIMARY KEY);
                    INSERT INTO grdb_migrations VALUES ('1 records');
                    CREATE TABLE record (
                        module TEXT NOT NULL, collection TEXT NOT NULL, key TEXT NOT NULL,
                        value BLOB NOT NULL, sequence INTEGER NOT NULL,
                        PRIMARY KEY (module, collection, key)
                    ) WITHOUT ROWID;
                    CREATE INDEX record_by_age ON record (module, collection, sequence);
                    INSERT INTO record VALUES ('st2', 'executions', '6b01', x'7B7D', 1);
                    """)
        }
        try old.close()
        let store = try Store(path: path, keys: .ephemeral())
        let records = store.storage(for: "st2").records("executions")
        #expect(try await records.value(for: "6b01") == Array("{}".utf8))
        try await records.set([1], for: "6b02")
        try await records.trim(to: 1)
        #expect(try await records.all().map(\.key) == ["6b02"])
        #expect(try store.findings().problems.isEmpty)
    }

    @Test func `a store of a newer version is rejected`() async throws {
        try await WriteQueueTests.withStore { store, path in
            try await store.database.write {
                try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('9 from the future')")
            }
            try store.close()
            #expect { try Store(path: path, keys: .ephemeral()) } throws: {
                "\($0)".contains("newer version of Petrel")
            }
        }
    }
}
