import Foundation
import GRDB
import PetrelSupport

/// Writes the bytes that are appended to logs: all of a twentieth of a second in one transaction, adjacent ones of one
/// stream in one row.
final class LogWriter: Sendable {
    struct Name: Hashable, Sendable {
        var module: String
        var collection: String
        var log: String
    }

    /// The time that bytes wait for further ones.
    static let linger = Duration.milliseconds(50)
    /// The number of bytes from which on they are written at once, and appending waits until they are.
    private static let most = 1 << 20
    /// The maximum size of a row.
    private static let longestRow = 64 << 10

    /// The bytes of one transaction. It takes no more bytes once it is being written, so that a failed transaction can be
    /// repeated.
    private final class Batch: Sendable {
        struct Row: Sendable {
            var name: Name
            var stream: UInt8
            var bytes: [UInt8]
        }

        struct Rows: Sendable {
            var rows: [Row] = []
            /// The last row of each log.
            var last: [Name: Int] = [:]
            var bytes = 0
            var isClosed = false
            var number = 0
        }

        let rows = Locked(Rows())

        /// Adds bytes. Returns the number of bytes in the batch, and the number of its change; nil if it is closed.
        func add(_ bytes: [UInt8], _ stream: UInt8, _ name: Name) -> (bytes: Int, number: Int)? {
            rows.withLock { rows in
                if rows.isClosed { return nil }
                if let last = rows.last[name], rows.rows[last].stream == stream,
                    rows.rows[last].bytes.count + bytes.count <= LogWriter.longestRow
                {
                    rows.rows[last].bytes.append(contentsOf: bytes)
                } else {
                    rows.last[name] = rows.rows.count
                    rows.rows.append(Row(name: name, stream: stream, bytes: bytes))
                }
                rows.bytes += bytes.count
                return (rows.bytes, rows.number)
            }
        }

        func close() -> [Row] {
            rows.withLock { rows in
                rows.isClosed = true
                return rows.rows
            }
        }
    }

    let queue: WriteQueue
    private let open = Locked<Batch?>(nil)

    init(_ queue: WriteQueue) { self.queue = queue }

    /// Appends bytes to a log; see ``LogCollection/append(_:stream:to:)``.
    func append(_ bytes: [UInt8], _ stream: UInt8, to name: Name) async throws {
        guard !bytes.isEmpty else { return }
        if queue.trouble != nil { throw WritesAreFailing() }
        let (size, number) = open.withLock { open in
            if let added = open?.add(bytes, stream, name) { return added }
            let batch = Batch()
            open = batch
            let number = queue.submit { database in try Self.write(batch.close(), database) }
            batch.rows.withLock { $0.number = number }
            return batch.add(bytes, stream, name) ?? (0, number)
        }
        guard size >= Self.most else { return }
        guard await queue.written(through: number) else { throw WritesAreFailing() }
    }

    private static func write(_ rows: [Batch.Row], _ database: Database) throws {
        var logs: [Name: (number: Int64, end: Int64)] = [:]
        let now = Date.now.timeIntervalSince1970
        let insertion = try database.cachedStatement(
            sql: "INSERT INTO log_chunk (log, place, stream, bytes) VALUES (?, ?, ?, ?)")
        for row in rows {
            var log = try logs[row.name] ?? number(of: row.name, now, database)
            try insertion.execute(arguments: [log.number, log.end, row.stream, Data(row.bytes)])
            log.end += Int64(row.bytes.count)
            logs[row.name] = log
        }
        let update = try database.cachedStatement(sql: "UPDATE log SET end = ?, time = ? WHERE number = ?")
        for log in logs.values { try update.execute(arguments: [log.end, now, log.number]) }
    }

    private static func number(
        of name: Name, _ now: Double, _ database: Database
    ) throws -> (number: Int64, end: Int64) {
        let row = try Row.fetchOne(
            database.cachedStatement(
                sql: "SELECT number, end FROM log WHERE module = ? AND collection = ? AND name = ?"),
            arguments: [name.module, name.collection, name.log])
        if let row { return (row["number"], row["end"]) }
        try database.cachedStatement(
            sql: "INSERT INTO log (module, collection, name, start, end, time) VALUES (?, ?, ?, 0, 0, ?)"
        ).execute(arguments: [name.module, name.collection, name.log, now])
        return (database.lastInsertedRowID, 0)
    }
}
