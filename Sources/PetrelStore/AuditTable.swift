package import Foundation
import GRDB
package import PetrelKit

/// The audit, in the store.
package final class AuditTable: AuditLog {
    private let queue: WriteQueue

    init(_ queue: WriteQueue) {
        self.queue = queue
    }

    package func record(_ entry: AuditEntry) {
        let entry = entry.bounded
        queue.submit { database in
            try database.cachedStatement(
                sql: """
                    INSERT INTO audit (id, time, backend, person, name, room, line, allowed, rule, reason)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """
            ).execute(arguments: [
                entry.id.uuidString, entry.time.timeIntervalSince1970, entry.backend, entry.person, entry.name,
                entry.room, entry.line, entry.isAllowed, entry.rule, entry.reason,
            ])
        }
    }

    package func started(_ execution: String, line: String?, by entry: UUID) {
        let line = line.map { AuditEntry.bounded($0) }
        queue.submit { database in
            try database.cachedStatement(
                sql: "UPDATE audit SET executions = trim(executions || ' ' || ?), line = coalesce(?, line) WHERE id = ?"
            ).execute(arguments: [execution, line, entry.uuidString])
        }
    }

    package func entries(_ query: AuditQuery) async throws -> [AuditEntry] {
        guard await queue.written() else {
            throw Refusal("The store takes nothing at the moment, so the audit is not up to date; the log says why.")
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
            executions: executions.split(separator: " ").map(String.init))
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
