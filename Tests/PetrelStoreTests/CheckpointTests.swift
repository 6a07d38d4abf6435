import Foundation
import GRDB
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import PetrelStore

/// The size of the write-ahead log while another program reads.
@Suite(.timeLimit(.minutes(30))) struct CheckpointTests {
    /// The number of values that were written.
    private static let written = Locked(0)
    /// The limit from which the writer runs checkpoints itself, and some transactions.
    private static let most = 32 << 20

    /// A connection that reads like `petrel outbox list`, in transactions that a test begins and ends.
    private struct Reader {
        let database: DatabaseQueue

        init(_ path: String) throws {
            var configuration = Configuration()
            configuration.readonly = true
            configuration.allowsUnsafeTransactions = true
            database = try DatabaseQueue(path: path, configuration: configuration)
        }

        func begin() async throws {
            try await database.writeWithoutTransaction { database in
                try database.execute(sql: "BEGIN")
                // The snapshot is taken by the first statement.
                _ = try Int.fetchOne(database, sql: "SELECT count(*) FROM outbox")
            }
        }

        func end() async throws { try await database.writeWithoutTransaction { try $0.execute(sql: "COMMIT") } }
    }

    private static func size(_ path: String) throws -> Int {
        try #require(try FileManager.default.attributesOfItem(atPath: path + "-wal")[.size] as? Int)
    }

    /// Replaces values of 1 MiB, each in a transaction of its own.
    private static func write(_ count: Int, _ store: Store) async throws {
        let records = store.storage(for: "m").records("c")
        for _ in 0..<count {
            let number = written.withLock { number in
                number += 1
                return number
            }
            // SQLite does not write pages again whose content is the same, so that each value has to differ.
            let value = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 1 << 20)
            records.put(value, for: "\(number % 10)")
            #expect(await store.written())
            // On a slow disk the log grows while a checkpoint runs.
            try await store.checkpointer?.untilIdle()
        }
    }

    @Test func `the log stays small while another program reads now and then`() async throws {
        try await WriteQueueTests.withStore { store, path in
            let reader = try Reader(path)
            for _ in 0..<30 {
                try await reader.begin()
                try await Self.write(1, store)
                try await reader.end()
                try await Self.write(3, store)
                let size = try Self.size(path)
                #expect(size < Self.most)
            }
            try reader.database.close()
            try store.close()
        }
    }

    @Test func `a log that grew during a long read shrinks after it`() async throws {
        try await WriteQueueTests.withStore { store, path in
            let reader = try Reader(path)
            try await reader.begin()
            try await Self.write(60, store)
            #expect(try Self.size(path) > Self.most, "the reader did not hold the log")
            try await reader.end()
            try await Self.write(20, store)
            let size = try Self.size(path)
            #expect(size < Self.most)
            try reader.database.close()
            try store.close()
        }
    }
}
