package import Foundation
import GRDB
import Logging
package import PetrelKit
import PetrelSupport

/// The audit, in the store.
package final class AuditTable: AuditLog {
    private let queue: WriteQueue
    private let repeated = Locked(RepeatedEntries())
    private let size = Locked(AuditSize())

    init(_ queue: WriteQueue) {
        self.queue = queue
    }

    /// How many bytes of entries are kept; the oldest go first.
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
                    INSERT INTO audit (id, time, backend, person, name, room, line, allowed, rule, reason)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """
            ).execute(arguments: [
                entry.id.uuidString, entry.time.timeIntervalSince1970, entry.backend, entry.person, entry.name,
                entry.room, entry.line, entry.isAllowed, entry.rule, entry.reason,
            ])
            if size.withLock({ $0.add(entry) }), try Self.shrink(database, size) {
                queue.logger?.warning(
                    "The audit is as large as store.audit_bytes allows: its oldest entries are removed.")
            }
        }
        return entry.id
    }

    /// Removes the oldest entries until a tenth of the room is free. Returns whether there were too many.
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
                "The store cannot be written at the moment, so the audit is not up to date; the log says why.")
        }
        return try await queue.read { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT * FROM audit WHERE (?1 IS NULL OR person = ?1 OR name = ?1) AND (NOT ?2 OR NOT allowed)
                    ORDER BY sequence DESC LIMIT ?3
                    """, arguments: [query.person, query.onlyDenied, query.limit]
            ).map(Self.entry)
        }
    }

    private static func entry(_ row: Row) -> AuditEntry {
        let executions: String = row["executions"]
        return AuditEntry(
            id: UUID(uuidString: row["id"]) ?? UUID(), time: Date(timeIntervalSince1970: row["time"]),
            backend: row["backend"], person: row["person"], name: row["name"], room: row["room"], line: row["line"],
            isAllowed: row["allowed"], rule: row["rule"], reason: row["reason"],
            executions: executions.split(separator: " ").map(String.init), repeats: row["repeats"])
    }

    /// Removes what is older. Returns how much that was.
    @discardableResult
    package func purge(before time: Date) async throws -> Int {
        try await queue.perform { database in
            try database.execute(sql: "DELETE FROM audit WHERE time < ?", arguments: [time.timeIntervalSince1970])
            return database.changesCount
        }
    }
}

/// How much the audit holds, as far as is known.
private struct AuditSize {
    /// What a row takes besides its texts, with its places in the indexes.
    private static let overhead = 200
    /// In bytes, of a row.
    static let ofRow =
        ["backend", "line", "name", "person", "reason", "executions"].map { "length(CAST(\($0) AS BLOB)) + " }.joined()
        + "coalesce(length(CAST(room AS BLOB)), 0) + \(overhead)"

    var limit = 256 << 20
    /// Nil until it was measured.
    var known: Int?

    /// Something was added to a row, in bytes.
    mutating func grow(by bytes: Int) { if let known { self.known = known + bytes } }

    /// Whether it has to be measured: at first, and where it may be more than is allowed.
    mutating func add(_ entry: AuditEntry) -> Bool {
        guard let known else { return true }
        let texts = [entry.backend, entry.line, entry.name, entry.person, entry.reason, entry.room ?? ""]
        let total = known + texts.reduce(Self.overhead) { $0 + $1.utf8.count }
        self.known = total
        return total > limit
    }
}
