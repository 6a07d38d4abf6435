package import Foundation
import GRDB
import Logging
package import PetrelKit
import PetrelSupport

/// The audit log in the database.
package final class AuditTable: AuditLog {
    /// The space within an item of the column `executions`.
    private static let space = "\u{A0}"

    private let queue: WriteQueue
    private let repeated = Locked(RepeatedEntries())
    private let size = Locked(AuditSize())

    init(_ queue: WriteQueue) {
        self.queue = queue
    }

    /// Sets the maximum size of the log, in bytes. When it is exceeded, the oldest entries are removed.
    package func limit(to bytes: Int) { size.withLock { $0.limit = bytes } }

    @discardableResult package func record(_ entry: AuditEntry) -> UUID {
        let entry = entry.bounded
        if let original = repeated.withLock({ $0.original(of: entry) }) {
            queue.submit { database in
                try database.cachedStatement(sql: "UPDATE audit SET repeats = repeats + 1 WHERE id = ?")
                    .execute(arguments: [original.uuidString])
            }
            return original
        }
        queue.submit { [size, queue] database in
            try database.cachedStatement(
                sql: """
                    INSERT INTO audit (id, time, backend, person, name, room, private, line, allowed, rule, reason)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """
            ).execute(arguments: [
                entry.id.uuidString, entry.time.timeIntervalSince1970, entry.backend, entry.person, entry.name,
                entry.room, entry.isPrivateRoom, entry.line, entry.isAllowed, entry.rule, entry.reason,
            ])
            if size.withLock({ $0.add(entry) }), try Self.shrink(database, size) {
                queue.logger?.warning(
                    "The audit log exceeds store.audit_bytes: its oldest entries are removed.")
            }
        }
        return entry.id
    }

    /// Measures the log. If it exceeds the limit, removes the oldest entries until a tenth of the limit is free, and
    /// returns true.
    private static func shrink(_ database: Database, _ size: Locked<AuditSize>) throws -> Bool {
        let limit = size.value.limit
        let bytes =
            try Int.fetchOne(
                database, sql: "SELECT coalesce(sum(\(AuditSize.ofRow)), 0) FROM audit") ?? 0
        guard bytes > limit else {
            size.withLock { $0.known = bytes }
            return false
        }
        let surplus = bytes - limit / 10 * 9
        try database.execute(
            sql: """
                DELETE FROM audit WHERE sequence <= (
                    SELECT sequence FROM (
                        SELECT sequence, sum(\(AuditSize.ofRow)) OVER (ORDER BY sequence) AS bytes FROM audit
                    ) WHERE bytes >= ? ORDER BY sequence LIMIT 1
                )
                """, arguments: [surplus])
        size.withLock { $0.known = limit / 10 * 9 }
        return true
    }

    package func started(_ execution: String, line: String?, by entry: UUID) {
        let line = line.map { AuditEntry.bounded($0) }
        // A space separates the items of the column.
        let execution = execution.replacing(" ", with: Self.space)
        size.withLock { $0.grow(by: execution.utf8.count + 1 + (line?.utf8.count ?? 0)) }
        queue.submit { database in
            try database.cachedStatement(
                sql: "UPDATE audit SET executions = trim(executions || ' ' || ?), line = coalesce(?, line) WHERE id = ?"
            ).execute(arguments: [execution, line, entry.uuidString])
        }
    }

    package func entries(_ query: AuditQuery) async throws -> [AuditEntry] {
        guard await queue.written() else {
            throw Refusal(
                "Database writes are failing, so the audit log is not up to date. See the log for the reason.")
        }
        return try await queue.read { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT * FROM audit
                    WHERE (?1 IS NULL OR person IN (?1, '@' || ?1) OR name IN (?1, '@' || ?1)) AND (NOT ?2 OR NOT allowed)
                    ORDER BY sequence DESC LIMIT ?3
                    """, arguments: [query.person, query.onlyDenied, query.limit]
            ).compactMap { row in
                do { return try Self.entry(row) } catch {
                    self.queue.warnOnce(of: "audit", "An entry of the audit log is damaged and was left out: \(error)")
                    return nil
                }
            }
        }
    }

    private static func entry(_ row: Row) throws -> AuditEntry {
        let executions: String = try row.value("executions")
        return AuditEntry(
            id: UUID(uuidString: try row.value("id")) ?? UUID(), time: try row.time("time"),
            backend: try row.value("backend"), person: try row.value("person"), name: try row.value("name"),
            room: try row.value("room"), isPrivateRoom: try row.value("private"), line: try row.value("line"),
            isAllowed: try row.value("allowed"), rule: try row.value("rule"), reason: try row.value("reason"),
            executions: executions.split(separator: " ").map { String($0).replacing(space, with: " ") },
            repeats: try row.value("repeats"))
    }

    /// Removes entries that are older than `time`. Returns the number of removed entries.
    @discardableResult
    package func purge(before time: Date) async throws -> Int {
        try await queue.perform { database in
            try database.execute(sql: "DELETE FROM audit WHERE time < ?", arguments: [time.timeIntervalSince1970])
            return database.changesCount
        }
    }
}

/// An estimate of the size of the audit log, in bytes.
private struct AuditSize {
    /// The estimated size of a row without its texts, including its index entries.
    private static let overhead = 200
    /// An SQL expression for the size of a row.
    static let ofRow =
        ["backend", "line", "name", "person", "reason", "executions"].map { "length(CAST(\($0) AS BLOB)) + " }.joined()
        + "coalesce(length(CAST(room AS BLOB)), 0) + \(overhead)"

    var limit = 256 << 20
    /// The current size, or nil until it was measured.
    var known: Int?

    /// Adds bytes that were appended to a row.
    mutating func grow(by bytes: Int) { if let known { self.known = known + bytes } }

    /// Adds an entry. Returns true if the size has to be measured: the first time, and if it may exceed the limit.
    mutating func add(_ entry: AuditEntry) -> Bool {
        guard let known else { return true }
        let texts = [entry.backend, entry.line, entry.name, entry.person, entry.reason, entry.room ?? ""]
        let total = known + texts.reduce(Self.overhead) { $0 + $1.utf8.count }
        self.known = total
        return total > limit
    }
}
