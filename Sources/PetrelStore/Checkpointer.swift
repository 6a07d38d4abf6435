import GRDB
import GRDBSQLite
import Logging
import PetrelKit

/// Brings what stands in the write-ahead log into the database on a connection of its own, so that no writer waits for
/// the disk (https://www.sqlite.org/wal.html, "Checkpointing").
final class Checkpointer: Sendable {
    /// From so many pages of 4 KiB on, the log is brought in.
    private static let enough: Int32 = 1000
    /// A log of so many pages is more than the disk shall hold: its writer brings it in, and waits.
    private static let tooMany: Int32 = 4000

    private let database: DatabaseQueue
    private let state = Locked((isDue: false, isClosed: false))

    init(path: String) throws {
        database = try DatabaseQueue(path: path)
    }

    /// Takes over from SQLite's own checkpoints, which the writer would make. The connection must not outlive this: its
    /// configuration holds it.
    func attend(_ writer: Database) throws {
        try writer.execute(sql: "PRAGMA journal_size_limit = \(Int64(Self.tooMany) * 4096)")
        let checkpointer = Unmanaged.passUnretained(self).toOpaque()
        sqlite3_wal_hook(
            writer.sqliteConnection,
            { checkpointer, connection, name, pages in
                if pages >= Checkpointer.tooMany {
                    // What it cannot do now, it tries with the next transaction: that one is written.
                    sqlite3_wal_checkpoint_v2(connection, name, SQLITE_CHECKPOINT_FULL, nil, nil)
                } else if pages >= Checkpointer.enough, let checkpointer {
                    Unmanaged<Checkpointer>.fromOpaque(checkpointer).takeUnretainedValue().begin()
                }
                return SQLITE_OK
            }, checkpointer)
    }

    private func begin() {
        state.withLock { state in
            guard !state.isDue, !state.isClosed else { return }
            state.isDue = true
            // Not after the connection is closed: this only adds to its queue.
            database.asyncWriteWithoutTransaction { database in
                self.state.withLock { $0.isDue = false }
                // A disk that takes nothing is told by who writes the log.
                _ = try? database.checkpoint(.passive)
            }
        }
    }

    func close() throws {
        state.withLock { $0.isClosed = true }
        try database.close()
    }
}
