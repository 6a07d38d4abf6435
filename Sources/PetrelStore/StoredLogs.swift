import Foundation
import GRDB
import PetrelKit

/// A collection of logs in the database.
struct StoredLogs: LogCollection {
    let writer: LogWriter
    let module: String
    let collection: String

    /// The maximum number of rows that one transaction removes. Each has at most 64 KiB, and other writers wait.
    private static let slice = 64
    /// The maximum size of a remark, which is buffered whatever waits already.
    private static let longestRemark = 255

    func append(_ bytes: [UInt8], stream: UInt8, to log: String) async throws {
        try await writer.append(bytes, stream, to: LogWriter.Name(module: module, collection: collection, log: log))
    }

    func note(_ remark: String, in log: String) {
        var bytes = Array(remark.utf8.prefix(Self.longestRemark))
        if bytes.last != 0x0A { bytes.append(0x0A) }
        writer.add(bytes, LogPart.remarks, LogWriter.Name(module: module, collection: collection, log: log))
    }

    func written() async -> Bool { await writer.written() }

    func extent(of log: String) async throws -> LogExtent? {
        try await writer.queue.read { try header(of: log, $0)?.extent }
    }

    func read(_ log: String, from place: Int64, limit: Int) async throws -> LogPart {
        try await writer.queue.read { database in
            guard let header = try header(of: log, database) else {
                return LogPart(place: 0, pieces: [], extent: LogExtent(start: 0, end: 0))
            }
            let start = min(max(place, header.extent.start), header.extent.end)
            return LogPart(
                place: start, pieces: try pieces(of: header.number, from: start, limit: limit, database),
                extent: header.extent)
        }
    }

    private func pieces(
        of number: Int64, from start: Int64, limit: Int, _ database: Database
    ) throws -> [LogPart.Piece] {
        // The row that contains the first byte begins before it, or at it.
        let rows = try Row.fetchCursor(
            database.cachedStatement(
                sql: """
                    SELECT place, stream, bytes FROM log_chunk WHERE log = ?1 AND place >= coalesce(
                        (SELECT max(place) FROM log_chunk WHERE log = ?1 AND place <= ?2), ?2)
                    ORDER BY place
                    """), arguments: [number, start])
        var pieces: [LogPart.Piece] = []
        var left = limit
        while left > 0, let row = try rows.next() {
            let place: Int64 = try row.value("place")
            let bytes = try row.value("bytes", as: Data.self).dropFirst(max(Int(start - place), 0)).prefix(left)
            guard !bytes.isEmpty else { continue }
            left -= bytes.count
            let stream: UInt8 = try row.value("stream")
            if pieces.last?.stream == stream {
                pieces[pieces.count - 1].bytes.append(contentsOf: bytes)
            } else {
                pieces.append(LogPart.Piece(stream: stream, bytes: Array(bytes)))
            }
        }
        return pieces
    }

    func remove(_ log: String) async throws {
        while try await writer.queue.perform({ database in
            guard let number = try header(of: log, database)?.number else { return false }
            return try Self.remove(number, database)
        }) {}
    }

    /// Removes a slice of a log, and the log if it is empty. Returns false if nothing is left of it.
    private static func remove(_ number: Int64, _ database: Database) throws -> Bool {
        try database.execute(
            sql: """
                DELETE FROM log_chunk WHERE sequence IN (
                    SELECT sequence FROM log_chunk WHERE log = ? ORDER BY place LIMIT \(slice))
                """, arguments: [number])
        if database.changesCount == slice {
            try database.execute(
                sql: """
                    UPDATE log SET start = (SELECT coalesce(min(place), log.end) FROM log_chunk WHERE log = log.number)
                    WHERE number = ?
                    """, arguments: [number])
            return true
        }
        try database.execute(sql: "DELETE FROM log WHERE number = ?", arguments: [number])
        return false
    }

    func trim(_ log: String, toBytes bytes: Int64) async throws {
        while try await writer.queue.perform({ database in
            guard let header = try header(of: log, database) else { return false }
            return try Self.trim(header, toBytes: bytes, database) > 0
        }) {}
    }

    /// Removes rows at the beginning of a log. Returns the number of removed bytes.
    private static func trim(_ log: Header, toBytes bytes: Int64, _ database: Database) throws -> Int64 {
        let surplus = log.extent.end - log.extent.start - bytes
        guard surplus > 0 else { return 0 }
        try database.execute(
            sql: """
                DELETE FROM log_chunk WHERE sequence IN (
                    SELECT sequence FROM log_chunk WHERE log = ? AND place < ? ORDER BY place LIMIT \(slice))
                """, arguments: [log.number, log.extent.start + surplus])
        let start = try Int64.fetchOne(
            database, sql: "SELECT min(place) FROM log_chunk WHERE log = ?", arguments: [log.number])
        let first = start ?? log.extent.end
        try database.execute(sql: "UPDATE log SET start = ? WHERE number = ?", arguments: [first, log.number])
        return first - log.extent.start
    }

    func names(before time: Date, after name: String?, limit: Int) async throws -> [String] {
        try await writer.queue.read { database in
            try String.fetchAll(
                database,
                sql: """
                    SELECT name FROM log WHERE module = ? AND collection = ? AND time < ? AND name > ?
                    ORDER BY name LIMIT ?
                    """, arguments: [module, collection, time.timeIntervalSince1970, name ?? "", limit])
        }
    }

    func trim(toBytes bytes: Int64, sparing spared: Set<String>) async throws -> Int64 {
        var removed: Int64 = 0
        while true {
            let step = try await writer.queue.perform { database -> Int64 in
                let sum = try Int64.fetchOne(
                    database, sql: "SELECT sum(end - start) FROM log WHERE module = ? AND collection = ?",
                    arguments: [module, collection])
                let surplus = (sum ?? 0) - bytes
                guard surplus > 0, let oldest = try oldest(sparing: spared, database) else { return 0 }
                let size = oldest.extent.end - oldest.extent.start
                return try Self.trim(oldest, toBytes: max(size - surplus, 0), database)
            }
            if step == 0 { return removed }
            removed += step
        }
    }

    /// Returns the log with bytes that was written the longest time ago, and one of the spared ones only if no other has
    /// bytes.
    private func oldest(sparing spared: Set<String>, _ database: Database) throws -> Header? {
        let rows = try Row.fetchCursor(
            database.cachedStatement(
                sql: """
                    SELECT name, number, start, end FROM log WHERE module = ? AND collection = ? AND end > start
                    ORDER BY time
                    """), arguments: [module, collection])
        var first: Header?
        while let row = try rows.next() {
            let header = try Header(row)
            if !spared.contains(try row.value("name")) { return header }
            first = first ?? header
        }
        return first
    }

    private struct Header: Sendable {
        var number: Int64
        var extent: LogExtent

        init(_ row: Row) throws {
            number = try row.value("number")
            extent = LogExtent(start: try row.value("start"), end: try row.value("end"))
        }
    }

    private func header(of log: String, _ database: Database) throws -> Header? {
        try Row.fetchOne(
            database.cachedStatement(
                sql: "SELECT number, start, end FROM log WHERE module = ? AND collection = ? AND name = ?"),
            arguments: [module, collection, log]
        ).map(Header.init)
    }
}
