package import Foundation
import GRDB
import Logging
package import PetrelKit
import PetrelSupport

/// The outbox in the database.
package final class StoredOutbox: Outbox, DeadLetterManaging {
    /// The state of an outbox entry.
    enum State: Int {
        /// The entry is pending.
        case waits = 0
        /// The entry is a dead letter.
        case dead = 1
        /// The entry is a dead letter to be sent again, which the sending process has not picked up yet.
        case revived = 2
    }

    private let database: any DatabaseWriter
    private let writes: WriteQueue
    /// The number of the last change of the state of an entry.
    private let lastChange = Locked(0)

    init(_ database: any DatabaseWriter, _ writes: WriteQueue) {
        self.database = database
        self.writes = writes
    }

    package func observe(_ progress: @escaping @Sendable (_ isTaking: Bool) -> Void) { writes.observe(progress) }

    package func lastNumber() throws -> Int64 {
        try database.read { try Int64.fetchOne($0, sql: "SELECT max(sequence) FROM outbox") ?? 0 }
    }

    package func queues() throws -> [DeliveryQueue] {
        try database.read { database in
            try Row.fetchAll(database, sql: "SELECT DISTINCT backend, place, direct FROM outbox WHERE state = 0")
                .compactMap { row in
                    self.readable(row, 0) {
                        DeliveryQueue(
                            backend: try row.value(0), place: try Self.place(row.value(1), isDirect: row.value(2)))
                    }
                }
        }
    }

    package func flush() async { await writes.written(through: lastChange.value) }

    package func add(_ entry: OutboxEntry, _ transaction: MessageTransaction?, of module: String) -> PendingWrite {
        let write = PendingWrite()
        write.change = writes.submit { database in
            if write.begin() { try Self.insert(entry, in: database) }
            if let entry = transaction?.entry { try StoredLedger.insert(entry, module, in: database) }
            if let record = transaction?.closes {
                try StoredRecords.remove(record.key, of: record.collection, module, in: database)
            }
        } written: {
            write.end()
        }
        return write
    }

    package func update(pieces: Int, of number: Int64, written: @escaping @Sendable () -> Void) {
        submit(
            {
                try $0.execute(sql: "UPDATE outbox SET pieces = ? WHERE sequence = ?", arguments: [pieces, number])
            }, written)
    }

    package func remove(_ number: Int64, _ pendingWrite: PendingWrite?, written: @escaping @Sendable () -> Void) {
        if let pendingWrite, pendingWrite.cancel(written: written) { return note(change: pendingWrite.change) }
        submit(
            {
                try $0.cachedStatement(sql: "DELETE FROM outbox WHERE sequence = ?").execute(arguments: [number])
            }, written)
    }

    package func markDead(_ number: Int64, reason: String, written: @escaping @Sendable () -> Void) {
        let time = Date.now.timeIntervalSince1970
        submit(
            {
                try $0.execute(
                    sql: "UPDATE outbox SET state = ?, reason = ?, died = ? WHERE sequence = ?",
                    arguments: [State.dead.rawValue, reason, time, number])
            }, written)
    }

    private func submit(
        _ change: @escaping @Sendable (Database) throws -> Void, _ written: @escaping @Sendable () -> Void
    ) {
        note(change: writes.submit(change, written: written))
    }

    private func note(change: Int) { lastChange.withLock { $0 = max($0, change) } }

    package func pending(
        in queue: DeliveryQueue?, after number: Int64, through last: Int64, limit: Int
    ) async throws -> [OutboxEntry] {
        let isComplete = await writes.written()
        let entries = try await writes.read { database in
            let place = queue?.place
            let statement = try database.cachedStatement(
                sql: """
                    SELECT \(Self.columns) FROM outbox WHERE state = 0 AND sequence > ?1 AND sequence <= ?5
                    \(queue == nil ? "" : "AND backend = ?2 AND place = ?3 AND direct = ?4")
                    ORDER BY sequence
                    """)
            let rows = try Row.fetchCursor(
                statement, arguments: [number, queue?.backend, place?.id, place?.isDirect, last])
            var entries: [OutboxEntry] = []
            while entries.count < limit, let row = try rows.next() {
                if let entry = self.entry(row) { entries.append(entry) }
            }
            return entries
        }
        guard isComplete || !entries.isEmpty else { throw WritesAreFailing() }
        return entries
    }

    package func takeRevived() async throws -> [OutboxEntry] {
        try await writes.perform { database in
            let rows = try Row.fetchAll(
                database, sql: "SELECT \(Self.columns) FROM outbox WHERE state = ? ORDER BY sequence",
                arguments: [State.revived.rawValue])
            guard !rows.isEmpty else { return [] }
            try database.execute(
                sql: "UPDATE outbox SET state = 0, reason = NULL, died = NULL WHERE state = ?",
                arguments: [State.revived.rawValue])
            return rows.compactMap { self.entry($0) }
        }
    }

    package func deadLetters(limit: Int) async throws -> [DeadLetter] {
        try await writes.read { database in
            try Row.fetchAll(
                database, sql: "SELECT \(Self.columns), reason FROM outbox WHERE state = ? ORDER BY sequence LIMIT ?",
                arguments: [State.dead.rawValue, limit]
            ).compactMap { row in
                try self.entry(row).map { DeadLetter($0, reason: try row.value("reason", as: String?.self) ?? "") }
            }
        }
    }

    package func retry(_ number: Int64?) async throws -> Int {
        try await writes.perform { database in
            try database.execute(
                sql: "UPDATE outbox SET state = ? WHERE state = ? AND (?3 IS NULL OR sequence = ?3)",
                arguments: [State.revived.rawValue, State.dead.rawValue, number])
            return database.changesCount
        }
    }

    package func drop(_ number: Int64?) async throws -> Int {
        try await writes.perform { database in
            try database.execute(
                sql: "DELETE FROM outbox WHERE state = ?1 AND (?2 IS NULL OR sequence = ?2)",
                arguments: [State.dead.rawValue, number])
            return database.changesCount
        }
    }

    /// Removes dead letters that are older than `time`. Returns the number of removed entries.
    @discardableResult
    package func purge(before time: Date) async throws -> Int {
        try await writes.perform { database in
            try database.execute(
                sql: "DELETE FROM outbox WHERE state = ? AND died < ?",
                arguments: [State.dead.rawValue, time.timeIntervalSince1970])
            return database.changesCount
        }
    }
}

extension StoredOutbox {
    /// The columns of an outbox entry, in the order that ``entry(_:)`` expects.
    private static let columns = """
        sequence, backend, place, direct, thread, in_reply_to, text, style, kind, private, extra, promises, settles,
        said, pieces, controls
        """

    /// The interactive parts of a message, which most messages do not have.
    private struct Controls: Codable, Equatable {
        var buttons: [Button]?
        var form: Form?
        var handle: String?

        init(_ entry: OutboxEntry) {
            buttons = entry.reply.buttons.isEmpty ? nil : entry.reply.buttons
            (form, handle) = (entry.reply.form, entry.marks.handle)
        }

        var isEmpty: Bool { buttons == nil && form == nil && handle == nil }
    }

    private static func insert(_ entry: OutboxEntry, in database: Database) throws {
        let reply = entry.reply
        let extra: [UInt8]? = reply.extra.isEmpty ? nil : try JSONValue.encode(reply.extra)
        let all = Controls(entry)
        let controls: [UInt8]? = all.isEmpty ? nil : try JSONValue.encode(all)
        try database.cachedStatement(
            sql: """
                INSERT INTO outbox (\(columns))
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """
        ).execute(arguments: [
            entry.number, entry.address.backend, entry.address.place.id, entry.address.place.isDirect,
            entry.address.thread, entry.address.inReplyTo, reply.text, reply.style.rawValue, reply.kind.rawValue,
            reply.isPrivate, extra.map { Data($0) }, entry.marks.promises, entry.marks.settles,
            entry.said.timeIntervalSince1970, entry.pieces, controls.map { Data($0) },
        ])
    }

    private static func place(_ id: String, isDirect: Bool) -> Address.Place { isDirect ? .direct(id) : .room(id) }

    /// Returns what a closure reads from a row. A row that it cannot read is logged, and returned as nil, so that the
    /// others are sent nevertheless.
    private func readable<Value>(_ row: Row, _ number: Int, _ read: () throws -> Value) -> Value? {
        do {
            return try read()
        } catch {
            writes.warnOnce(
                of: "outbox \(row[number] as DatabaseValue)",
                "A stored message cannot be read, and is not sent: outbox \(row[number] as DatabaseValue): \(error)")
            return nil
        }
    }

    /// Decodes a row of ``columns``, by index: access by name would look up the name for each value. Returns nil for a
    /// damaged row.
    private func entry(_ row: Row) -> OutboxEntry? { readable(row, 0) { try decoded(row) } }

    /// A part of a reply that cannot be decoded is logged and left out, so that its text is sent nevertheless.
    private func decoded(_ row: Row) throws -> OutboxEntry {
        let extra = decode(row, 10, "extra") { data in
            guard let object = try JSONValue.parse(data).object else { throw CocoaError(.coderReadCorrupt) }
            return object
        }
        let controls = decode(row, 15, "buttons and form") { try JSONDecoder().decode(Controls.self, from: $0) }
        let reply = Reply(
            try row.value(6), style: Reply.Style(rawValue: try row.value(7)) ?? .plain,
            kind: Reply.Kind(rawValue: try row.value(8)) ?? .answer, isPrivate: try row.value(9), extra: extra ?? [:],
            buttons: controls?.buttons ?? [], form: controls?.form)
        let marks = DeliveryMarks(
            handle: controls?.handle, promises: try row.value(11), settles: try row.value(12))
        let address = Address(
            backend: try row.value(1), place: Self.place(try row.value(2), isDirect: try row.value(3)),
            thread: try row.value(4), inReplyTo: try row.value(5))
        return OutboxEntry(
            number: try row.value(0), reply: reply, address: address, marks: marks, said: try row.time(13),
            pieces: try row.value(14))
    }

    private func decode<Value>(
        _ row: Row, _ column: Int, _ part: String, _ parse: (Data) throws -> Value
    ) -> Value? {
        do {
            return try row.value(column, as: Data?.self).map(parse)
        } catch {
            writes.logger?.error(
                "Cannot read the \(part) of the stored message \(row[0] as DatabaseValue), which is sent without: \(JSONValue.reason(of: error))"
            )
            return nil
        }
    }
}
