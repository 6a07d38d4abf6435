import GRDB
import GRDBSQLite
import Logging
import PetrelKit
import PetrelSupport

/// A checkpointer with its own connection, so that writers do not wait for checkpoints of the write-ahead log
/// (https://www.sqlite.org/wal.html, "Checkpointing").
final class Checkpointer: Sendable {
    /// The size of the log, in pages of 4 KiB, that starts a checkpoint.
    private static let enough: Int32 = 1000
    /// The size of the log, in pages, from which the writer runs checkpoints itself, so that the log stops growing.
    private static let tooMany: Int32 = 4000

    private let database: DatabaseQueue
    private let isDue = Locked(false)

    init(path: String) throws {
        var configuration = Configuration()
        configuration.busyMode = .timeout(1)
        // A new database would otherwise have no log for this connection.
        configuration.journalMode = .wal
        database = try DatabaseQueue(path: path, configuration: configuration)
    }

    /// Replaces the automatic checkpoints of a writing connection. The connection must not outlive the checkpointer,
    /// which its configuration retains.
    func attend(_ writer: Database) throws {
        try writer.execute(sql: "PRAGMA journal_size_limit = \(Int64(Self.tooMany) * 4096)")
        let checkpointer = Unmanaged.passUnretained(self).toOpaque()
        sqlite3_wal_hook(
            writer.sqliteConnection,
            { checkpointer, connection, name, pages in
                if pages >= Checkpointer.tooMany {
                    // A passive checkpoint does not block. While another program reads, the log cannot be reset and
                    // grows.
                    sqlite3_wal_checkpoint_v2(connection, name, SQLITE_CHECKPOINT_PASSIVE, nil, nil)
                } else if pages >= Checkpointer.enough, let checkpointer {
                    Unmanaged<Checkpointer>.fromOpaque(checkpointer).takeUnretainedValue().begin()
                }
                return SQLITE_OK
            }, checkpointer)
    }

    private func begin() {
        let isNew = isDue.withLock { isDue in
            defer { isDue = true }
            return !isDue
        }
        guard isNew else { return }
        database.asyncWriteWithoutTransaction { database in
            self.isDue.withLock { $0 = false }
            // Errors of the disk are reported by the write queue.
            _ = try? database.checkpoint(.passive)
        }
    }

    /// Waits for the checkpoint that runs.
    func untilIdle() async throws { try await database.writeWithoutTransaction { _ in } }

    /// Merges the log into the database and truncates it. Throws `SQLITE_BUSY` while another program reads.
    func emptyLog() throws { try database.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) } }

    /// Closes the connection. Close all other connections of this process first, so that none starts a checkpoint.
    func close() throws { try database.close() }
}
