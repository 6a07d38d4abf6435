import Foundation
import GRDB
package import Logging
package import PetrelKit

/// Petrel's durable state: one SQLite file in WAL mode, owned by one process.
package final class Store: Sendable {
    let database: any DatabaseWriter
    let keys: KeyRing
    let queue: WriteQueue
    /// The audit has one of its own: no command waits for what it writes.
    private let auditQueue: WriteQueue
    package let audit: AuditTable
    private let lock: StoreLock?
    private let journal: Journal?
    let checkpointer: Checkpointer?

    /// Opens or makes the database and brings it to this version's schema.
    /// - Parameters:
    ///   - keys: of the secrets in it.
    ///   - later: where what nobody waits for is written in a while.
    package init(
        path: String, keys: KeyRing, later: @escaping Later = laterElsewhere
    ) throws(StoreFailure) {
        self.keys = keys
        // Lock and journal lie beside the database itself, whatever link leads there.
        let path = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        lock = try StoreLock(path: path + ".lock")
        do {
            var configuration = Configuration()
            // Nobody else holds it for longer, and commands wait meanwhile.
            configuration.busyMode = .timeout(1)
            // SQLite gives the files beside the database the mode of the database.
            let ownerOnly: [FileAttributeKey: Any] = [.posixPermissions: 0o600]
            if FileManager.default.fileExists(atPath: path) {
                try FileManager.default.setAttributes(ownerOnly, ofItemAtPath: path)
            } else {
                _ = FileManager.default.createFile(atPath: path, contents: nil, attributes: ownerOnly)
            }
            let checkpointer = try Checkpointer(path: path)
            self.checkpointer = checkpointer
            configuration.prepareDatabase { database in
                // What is deleted may have been a login.
                try database.execute(sql: "PRAGMA secure_delete = ON")
                try checkpointer.attend(database)
            }
            let pool = try DatabasePool(path: path, configuration: configuration)
            try Self.migrate(pool, path: path)
            database = pool
            let journal = try Self.recover(pool, path + ".pending")
            self.journal = journal
            queue = WriteQueue(pool, journal: journal, later: later)
            auditQueue = WriteQueue(pool, leisure: .milliseconds(50), later: later)
            audit = AuditTable(auditQueue)
        } catch {
            throw StoreFailure(error, path: path)
        }
    }

    /// A store that is gone with the process.
    package init() throws(StoreFailure) {
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
            audit = AuditTable(auditQueue)
        } catch {
            throw StoreFailure(error, path: ":memory:")
        }
    }

    /// Opens an existing database beside the process that owns it, to read only.
    package init(readingOnly path: String) throws(StoreFailure) {
        // Nothing that is sealed is of interest here.
        keys = .ephemeral()
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
            audit = AuditTable(auditQueue)
        } catch {
            throw StoreFailure(error, path: path)
        }
    }

    /// Opens an existing database beside the process that owns it, to change single rows.
    package init(beside path: String) throws(StoreFailure) {
        keys = .ephemeral()
        lock = nil
        journal = nil
        checkpointer = nil
        do {
            try Self.requireFile(path)
            var configuration = Configuration()
            configuration.busyMode = .timeout(5)
            let other = try DatabaseQueue(path: path, configuration: configuration)
            guard try Self.isCurrent(other, path: path) else {
                throw StoreFailure(path: path, message: "is of an older version: start this Petrel once")
            }
            database = other
            queue = WriteQueue(other)
            auditQueue = queue
            audit = AuditTable(auditQueue)
        } catch {
            throw StoreFailure(error, path: path)
        }
    }

    /// Brings in what a crash has left in the journal, which begins anew.
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
        throw StoreFailure(path: path, message: "does not exist yet: Petrel makes it when it runs")
    }

    /// Leaves one file: what stands in the log beside it would be laid over a copy that is put in its place.
    package func close() throws {
        try database.close()
        // Where the disk has taken nothing to the end, the next start brings it in.
        if queue.isSettled { journal?.remove() }
        guard let checkpointer else { return }
        defer { lock?.release() }
        let emptied = Result { try checkpointer.emptyLog() }
        try checkpointer.close()
        do {
            try emptied.get()
        } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {
            // Another program reads. The log is as good as the database, and the last one to close brings it in.
        }
    }

    /// The space of one module.
    package func storage(for module: String) -> any Storage {
        ModuleStorage(queue: queue, keys: keys, module: module)
    }

    package var outbox: StoredOutbox { StoredOutbox(database, queue) }

    /// Where trouble with the disk is told.
    package func tell(_ logger: Logger) {
        queue.tell(logger)
        auditQueue.tell(logger)
    }

    /// Returns once all that there is to write is in the store; false where the disk takes nothing.
    @discardableResult
    package func written() async -> Bool {
        let isAudited = await auditQueue.written(triesAgain: true)
        return await queue.written(triesAgain: true) && isAudited
    }

    private static func migrate(_ database: any DatabaseWriter, path: String) throws {
        if try isCurrent(database, path: path) { return }
        try migrator.migrate(database)
    }

    /// Whether the schema is this version's. Throws where it is a newer one's.
    private static func isCurrent(_ database: any DatabaseWriter, path: String) throws -> Bool {
        let migrator = migrator
        if try database.read({ try migrator.hasBeenSuperseded($0) }) {
            throw StoreFailure(
                path: path, message: "was written by a newer Petrel; use that one, or another store.path")
        }
        return try database.read { try migrator.hasCompletedMigrations($0) }
    }

    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        Migrations.register(in: &migrator)
        return migrator
    }
}

/// Why the store cannot be used.
package struct StoreFailure: Error, CustomStringConvertible {
    /// The key of the configuration.
    package var place: String
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
    /// Nothing while the disk takes everything.
    package func status() -> [StatusLine] {
        let troubles = [queue.trouble, auditQueue.trouble].compactMap(\.self)
        guard let first = troubles.first else { return [] }
        let count = troubles.reduce(0) { $0 + $1.count }
        return [StatusLine("store", isHealthy: false, "takes nothing, \(count) changes wait: \(first.problem)")]
    }
}
