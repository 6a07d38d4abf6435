package import Foundation
import GRDB
import Logging
package import PetrelKit

/// The audit, in the store. What is recorded waits in memory for the next transaction, which takes all that waits.
package final class AuditTable: AuditLog, StatusReporting {
    private enum Event: Sendable {
        case decided(AuditEntry)
        case started(String, line: String?, UUID)
    }

    /// More than this many wait only when the store hangs.
    private static let capacity = 100_000

    private static let pause = Duration.seconds(1)

    private let database: any DatabaseWriter
    private let logger: Logger
    private let waiting = Locked<[Event]>([])
    private let problem = Locked<String?>(nil)
    private let bell: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)

    init(database: any DatabaseWriter, logger: Logger) {
        self.database = database
        self.logger = logger
        bell = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    package func record(_ entry: AuditEntry) { enqueue(.decided(entry.bounded)) }

    package func started(_ execution: String, line: String?, by entry: UUID) {
        enqueue(.started(execution, line: line.map { AuditEntry.bounded($0) }, entry))
    }

    private func enqueue(_ event: Event) {
        let isLost = waiting.withLock { waiting in
            if waiting.count >= Self.capacity { return true }
            waiting.append(event)
            return false
        }
        if isLost { logger.critical("The store takes nothing, and an entry of the audit was lost.") }
        bell.continuation.yield()
    }

    /// Writes what is recorded, until cancelled; then writes what is left.
    package func run() async {
        for await _ in bell.stream {
            while await !write(), !Task.isCancelled {
                // Only cancellation ends a sleep early, and the loop looks for it.
                try? await Task.sleep(for: Self.pause)
            }
        }
        await write()
    }

    /// Whether all that was recorded is in the store. What the store did not take waits for the next time.
    @discardableResult
    package func write() async -> Bool {
        let events = waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
        guard !events.isEmpty else { return true }
        do {
            // Not cancelled with the process: these are the last words.
            try await Task { [database] in
                try await database.write { database in for event in events { try Self.write(event, database) } }
            }.value
            problem.withLock { $0 = nil }
            return true
        } catch {
            waiting.withLock { $0 = events + $0 }
            if problem.value == nil { logger.critical("The audit cannot be written, and waits: \(error)") }
            problem.withLock { $0 = "\(error)" }
            return false
        }
    }

    private static func write(_ event: Event, _ database: Database) throws {
        switch event {
        case .decided(let entry):
            try database.execute(
                sql: """
                    INSERT INTO audit (id, time, backend, person, name, room, line, allowed, rule, reason)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    entry.id.uuidString, entry.time.timeIntervalSince1970, entry.backend, entry.person, entry.name,
                    entry.room, entry.line, entry.isAllowed, entry.rule, entry.reason,
                ])
        case .started(let execution, let line, let id):
            try database.execute(
                sql:
                    "UPDATE audit SET executions = trim(executions || ' ' || ?), line = coalesce(?, line) WHERE id = ?",
                arguments: [execution, line, id.uuidString])
        }
    }

    package func entries(_ query: AuditQuery) async throws -> [AuditEntry] {
        guard await write() else { throw Refusal("The audit cannot be written at the moment; the log says why.") }
        return try await database.read { database in
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
        try await database.write { database in
            try database.execute(sql: "DELETE FROM audit WHERE time < ?", arguments: [time.timeIntervalSince1970])
            return database.changesCount
        }
    }

    package func status() -> [StatusLine] {
        let count = waiting.withLock { $0.count }
        return problem.value.map {
            [StatusLine("audit", isHealthy: false, "\(count) entries cannot be written: \($0)")]
        } ?? []
    }
}
