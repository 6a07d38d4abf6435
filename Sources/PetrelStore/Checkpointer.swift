import GRDB
import GRDBSQLite
import Logging
import PetrelKit
import PetrelSupport

/// Brings what stands in the write-ahead log into the database on a connection of its own, so that no writer waits for
/// the disk (https://www.sqlite.org/wal.html, "Checkpointing").
final class Checkpointer: Sendable {
    /// From so many pages of 4 KiB on, the log is brought in.
    private static let enough: Int32 = 1000
    /// With a log of so many pages the writer helps, so that it cannot grow faster than it is brought in.
    private static let tooMany: Int32 = 4000

    private let database: DatabaseQueue
    private let isDue = Locked(false)

    init(path: String) throws {
        var configuration = Configuration()
        configuration.busyMode = .timeout(1)
        // Without it a database that is new would have no log for this connection.
        configuration.journalMode = .wal
        database = try DatabaseQueue(path: path, configuration: configuration)
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
                    // It waits for nobody. While another program reads, the log cannot begin anew, and grows.
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
            // A disk that takes nothing is told by who writes the log.
            _ = try? database.checkpoint(.passive)
        }
    }

    /// Nothing of what was written before stands in the log afterwards. Throws `SQLITE_BUSY` while another program reads.
    func emptyLog() throws { try database.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) } }

    /// Call it when no other connection of this process is left: nothing begins a checkpoint any more.
    func close() throws { try database.close() }
}
