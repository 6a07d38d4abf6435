import Foundation
import GRDB
package import Logging
package import PetrelKit

/// The database of Petrel: one SQLite file in WAL mode that belongs to one process.
package final class Store: Sendable {
    let database: any DatabaseWriter
    let keys: KeyRing
    let queue: WriteQueue
    /// A separate queue for the audit log, because no command waits for it.
    private let auditQueue: WriteQueue
    /// The writer of logs, with a queue of its own, because their volume must not delay other changes.
    let logWriter: LogWriter
    package let audit: AuditTable
    private let lock: StoreLock?
    private let journal: Journal?
    let checkpointer: Checkpointer?
    /// False if records of what has ended are not kept.
    package let keepsRecords: Bool

    /// Opens or creates the database and migrates it to the current schema.
    ///
    /// - Parameters:
    ///   - path: The path of the database file.
    ///   - keys: The key of the secrets in the database.
    ///   - later: A function that schedules writes that no caller waits for.
    ///   - logPatience: The time for which appending to a log waits while writes are failing.
    package init(
        path: String, keys: KeyRing, later: @escaping Later = laterElsewhere, logPatience: Duration = .seconds(20)
    ) throws(StoreFailure) {
        self.keys = keys
        keepsRecords = true
        // Lock and journal are created next to the target if the path is a symbolic link.
        let path = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        lock = try StoreLock(path: path + ".lock")
        do {
            var configuration = Configuration()
            // Other programs hold the lock only briefly, and commands wait meanwhile.
            configuration.busyMode = .timeout(1)
            // SQLite creates the -wal and -shm files with the mode of the database.
            let ownerOnly: [FileAttributeKey: Any] = [.posixPermissions: 0o600]
            if FileManager.default.fileExists(atPath: path) {
                try FileManager.default.setAttributes(ownerOnly, ofItemAtPath: path)
            } else {
                _ = FileManager.default.createFile(atPath: path, contents: nil, attributes: ownerOnly)
            }
            let checkpointer = try Checkpointer(path: path)
            self.checkpointer = checkpointer
            configuration.prepareDatabase { database in
                // A deleted row may have contained a login.
                try database.execute(sql: "PRAGMA secure_delete = ON")
                try checkpointer.attend(database)
            }
            let pool = try DatabasePool(path: path, configuration: configuration)
            try Self.migrate(pool, path: path)
            database = pool
            let journal = try Self.recover(pool, path + ".pending")
            self.journal = journal
            queue = WriteQueue(pool, journal: journal, later: later)
            auditQueue = WriteQueue(pool, linger: .milliseconds(50), later: later)
            logWriter = LogWriter(
                WriteQueue(pool, linger: LogWriter.linger, later: later), patience: logPatience)
            audit = AuditTable(auditQueue)
        } catch {
            throw StoreFailure(error, path: path)
        }
    }

    /// Creates a store in memory.
    /// - Parameter keepsRecords: false if the process serves single requests, so that records of what has ended, such as
    ///   the output of jobs and dead letters, are not kept.
    package init(keepsRecords: Bool = true) throws(StoreFailure) {
        self.keepsRecords = keepsRecords
        keys = .ephemeral()
        lock = nil
        journal = nil
        checkpointer = nil
        do {
            let memory = try DatabaseQueue()
            try Self.migrate(memory, path: ":memory:")
            database = memory
            queue = WriteQueue(memory)
            auditQueue = WriteQueue(memory)
            logWriter = LogWriter(WriteQueue(memory, linger: LogWriter.linger))
            audit = AuditTable(auditQueue)
        } catch {
            throw StoreFailure(error, path: ":memory:")
        }
    }

    /// Opens an existing database read-only, while another process may own it.
    package init(readingOnly path: String) throws(StoreFailure) {
        // Secrets are not read here.
        keys = .ephemeral()
        keepsRecords = true
        lock = nil
        journal = nil
        checkpointer = nil
        do {
            try Self.requireFile(path)
            var configuration = Configuration()
            configuration.readonly = true
            database = try DatabaseQueue(path: path, configuration: configuration)
            queue = WriteQueue(database)
            auditQueue = queue
            logWriter = LogWriter(queue)
            audit = AuditTable(auditQueue)
        } catch {
            throw StoreFailure(error, path: path)
        }
    }

    /// Opens an existing database to change single rows, while another process may own it.
    package init(beside path: String) throws(StoreFailure) {
        keys = .ephemeral()
        keepsRecords = true
        lock = nil
        journal = nil
        checkpointer = nil
        do {
            try Self.requireFile(path)
            var configuration = Configuration()
            configuration.busyMode = .timeout(5)
            let other = try DatabaseQueue(path: path, configuration: configuration)
            guard try Self.isCurrent(other, path: path) else {
                throw StoreFailure(path: path, message: "has an older schema: start this version of Petrel once")
            }
            database = other
            queue = WriteQueue(other)
            auditQueue = queue
            logWriter = LogWriter(queue)
            audit = AuditTable(auditQueue)
        } catch {
            throw StoreFailure(error, path: path)
        }
    }

    /// Writes the entries that a crash has left in the journal to the database, and starts a new journal.
    private static func recover(_ database: any DatabaseWriter, _ path: String) throws -> Journal {
        let entries = try Journal.entries(at: path)
        let last = try database.write { database in
            let applied = try Int64.fetchOne(database, sql: "SELECT applied FROM journal") ?? 0
            for entry in entries where entry.number > applied {
                try StoredRecords.insert(entry.value, for: entry.key, of: entry.collection, entry.module, in: database)
            }
            let last = max(applied, entries.last?.number ?? 0)
            try database.execute(sql: "UPDATE journal SET applied = ?", arguments: [last])
            return last
        }
        return try Journal(path: path, after: last)
    }

    private static func requireFile(_ path: String) throws {
        guard !FileManager.default.fileExists(atPath: path) else { return }
        throw StoreFailure(path: path, message: "does not exist yet: Petrel creates it when it is started")
    }

    /// Closes the database and merges the write-ahead log into it.
    ///
    /// A log that stayed next to the file would be applied to a backup that is restored in its place.
    package func close() throws {
        try database.close()
        // If writes failed until now, the next start recovers the changes from the journal.
        if queue.isSettled { journal?.remove() }
        guard let checkpointer else { return }
        defer { lock?.release() }
        let emptied = Result { try checkpointer.emptyLog() }
        try checkpointer.close()
        do {
            try emptied.get()
        } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {
            // Another program is reading. Nothing is lost: the last program that closes the database merges the log.
        }
    }

    /// Returns the storage of one module.
    package func storage(for module: String) -> any Storage {
        ModuleStorage(
            queue: queue, logWriter: logWriter, keys: keys, module: module, keepsRecords: keepsRecords)
    }

    /// The outbox in this database.
    package var outbox: StoredOutbox { StoredOutbox(database, queue) }

    /// Sets the logger for failed writes.
    package func tell(_ logger: Logger) {
        queue.tell(logger)
        auditQueue.tell(logger)
        logWriter.queue.tell(logger)
    }

    /// Waits until all submitted changes are in the database.
    ///
    /// - Returns: False if database writes are failing.
    @discardableResult
    package func written() async -> Bool {
        let isAudited = await auditQueue.written(triesAgain: true)
        let isLogged = await logWriter.queue.written(triesAgain: true)
        return await queue.written(triesAgain: true) && isAudited && isLogged
    }

    private static func migrate(_ database: any DatabaseWriter, path: String) throws {
        if try isCurrent(database, path: path) { return }
        try migrator.migrate(database)
    }

    /// Returns true if the schema is current. Throws if it is that of a newer version.
    private static func isCurrent(_ database: any DatabaseWriter, path: String) throws -> Bool {
        let migrator = migrator
        if try database.read({ try migrator.hasBeenSuperseded($0) }) {
            throw StoreFailure(
                path: path,
                message: "was written by a newer version of Petrel: use that version, or set another store.path")
        }
        return try database.read { try migrator.hasCompletedMigrations($0) }
    }

    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        Migrations.register(in: &migrator)
        return migrator
    }
}

/// An error that prevents the use of the store.
package struct StoreFailure: Error, CustomStringConvertible {
    /// The configuration key or the command-line option that the error is about, such as `store.path`.
    package var place: String
    /// The message, which starts in lower case and has no full stop.
    package var message: String

    package var description: String { "\(place): \(message)" }

    init(place: String, message: String) {
        self.place = place
        self.message = message
    }

    init(path: String, message: String) {
        self.init(place: "store.path", message: "\(path) \(message)")
    }

    init(_ error: any Error, path: String) {
        self = (error as? StoreFailure) ?? StoreFailure(path: path, message: "cannot be opened: \(error)")
    }
}

extension Store: StatusReporting {
    /// Returns a line if database writes are failing, and nothing otherwise.
    package func status() -> [StatusLine] {
        let troubles = [queue.trouble, auditQueue.trouble, logWriter.queue.trouble].compactMap(\.self)
        guard let first = troubles.first else { return [] }
        let count = troubles.reduce(0) { $0 + $1.count }
        return [
            StatusLine(
                "store", isHealthy: false,
                "database writes are failing; \(count) changes are buffered in memory: \(first.problem)")
        ]
    }
}
