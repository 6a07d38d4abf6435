import Foundation
import GRDB
import PetrelKit
import PetrelTesting
import Testing

@testable import PetrelStore

/// Tests of records that are in the journal but not yet in the database.
@Suite struct JournalTests {
    /// A scheduler that never runs anything.
    private static let never: Later = { _, _ in }

    private static func place(_ folder: URL) -> String { folder.appendingPathComponent("petrel.db").path }

    /// Copies the files that a crash at this moment would leave.
    private static func crash(_ folder: URL, into other: URL) throws {
        for file in ["petrel.db", "petrel.db-wal", "petrel.db.pending"] {
            let source = folder.appendingPathComponent(file)
            guard FileManager.default.fileExists(atPath: source.path) else { continue }
            try FileManager.default.copyItem(at: source, to: other.appendingPathComponent(file))
        }
    }

    private static func keys(_ folder: URL) async throws -> [String] {
        let store = try Store(path: place(folder), keys: .ephemeral())
        let keys = try await store.storage(for: "m").records("c").all().map(\.key)
        try store.close()
        return keys
    }

    @Test func `a record survives a crash before its transaction`() async throws {
        try await withFolder { folder in
            let store = try Store(path: Self.place(folder), keys: .ephemeral(), later: Self.never)
            let records = store.storage(for: "m").records("c")
            await records.keep([1], for: "a")
            records.put([2], for: "not kept")
            await records.keep([3], for: "b")
            try await withFolder { other in
                try Self.crash(folder, into: other)
                #expect(try await Self.keys(other) == ["a", "b"])
                // The recovered records are in the database, so the journal was removed.
                #expect(!FileManager.default.fileExists(atPath: Self.place(other) + ".pending"))
            }
            #expect(try await records.all().map(\.key) == ["a", "b", "not kept"])
            try store.close()
        }
    }

    @Test func `a removed record does not reappear, and sequence numbers continue`() async throws {
        try await withFolder { folder in
            let store = try Store(path: Self.place(folder), keys: .ephemeral(), later: Self.never)
            let records = store.storage(for: "m").records("c")
            for key in ["a", "b"] { await records.keep([1], for: key) }
            records.put(nil, for: "a")
            #expect(await store.storage(for: "m").written())
            await records.keep([2], for: "c")
            try await withFolder { other in
                try Self.crash(folder, into: other)
                // A second crash follows.
                let again = try Store(path: Self.place(other), keys: .ephemeral(), later: Self.never)
                let left = again.storage(for: "m").records("c")
                #expect(try await left.all().map(\.key) == ["b", "c"])
                try await left.remove("c")
                await left.keep([3], for: "d")
                try await withFolder { third in
                    try Self.crash(other, into: third)
                    #expect(try await Self.keys(third) == ["b", "d"])
                }
            }
        }
    }

    @Test(arguments: [1, 5, 11, 30]) func `an incomplete entry at the end is ignored`(missing: Int) async throws {
        try await withFolder { folder in
            let store = try Store(path: Self.place(folder), keys: .ephemeral(), later: Self.never)
            let records = store.storage(for: "m").records("c")
            for key in ["a", "b"] { await records.keep([1, 2, 3], for: key) }
            try await withFolder { other in
                try Self.crash(folder, into: other)
                let pending = URL(fileURLWithPath: Self.place(other) + ".pending")
                let bytes = try Data(contentsOf: pending)
                try bytes.dropLast(missing).write(to: pending)
                #expect(try await Self.keys(other) == ["a"])
            }
        }
    }

    @Test func `garbage contains no entries`() async throws {
        try await withFolder { folder in
            let file = folder.appendingPathComponent("pending")
            for bytes in [[], [0], Array(repeating: 0xFF, count: 100), Array(repeating: 0, count: 100)] as [[UInt8]] {
                try Data(bytes).write(to: file)
                #expect(try Journal.entries(at: file.path).isEmpty)
            }
        }
    }

    @Test func `the journal stays small and loses nothing`() async throws {
        try await withFolder { folder in
            let store = try Store(path: Self.place(folder), keys: .ephemeral(), later: Self.never)
            let records = store.storage(for: "m").records("c")
            let large = [UInt8](repeating: 7, count: 1 << 20)
            for number in 0..<10 { await records.keep(large, for: "\(number)") }
            let pending = try FileManager.default.attributesOfItem(atPath: Self.place(folder) + ".pending")
            #expect((pending[.size] as? Int).map { $0 < 6 << 20 } == true)
            try await withFolder { other in
                try Self.crash(folder, into: other)
                #expect(try await Self.keys(other).count == 10)
            }
        }
    }

    @Test func `records are written to the database if the journal cannot be written`() async throws {
        let database = try DatabaseQueue()
        try Store.migrator.migrate(database)
        let queue = WriteQueue(database, journal: try Journal(path: "/dev/full", after: 0), later: Self.never)
        for key in ["a", "b"] {
            await StoredRecords(queue: queue, module: "m", collection: "c").keep([1], for: key)
        }
        let count = try await database.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM record") }
        #expect(count == 2)
    }

    @Test(arguments: [".pending", ".lock"])
    func `a symbolic link in place of a file is rejected, and its target is unchanged`(suffix: String) async throws {
        try await withFolder { folder in
            let (path, victim) = (Self.place(folder), folder.appendingPathComponent("victim").path)
            try Data("precious".utf8).write(to: URL(fileURLWithPath: victim))
            try FileManager.default.createSymbolicLink(atPath: path + suffix, withDestinationPath: victim)
            #expect { try Store(path: path, keys: .ephemeral()) } throws: { "\($0)".contains("is a symbolic link") }
            #expect(try String(contentsOfFile: victim, encoding: .utf8) == "precious")
        }
    }
}
