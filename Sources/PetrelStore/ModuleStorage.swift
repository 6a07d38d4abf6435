import Foundation
import GRDB
import PetrelKit

struct ModuleStorage: Storage {
    let queue: WriteQueue
    let logWriter: LogWriter
    let keys: KeyRing
    let module: String
    let keepsRecords: Bool

    func records(_ collection: String) -> any RecordCollection {
        StoredRecords(queue: queue, module: module, collection: collection)
    }

    func sealed(_ collection: String) -> any RecordCollection {
        SealedRecords(queue: queue, keys: keys, module: module, collection: collection)
    }

    func logs(_ collection: String) -> any LogCollection {
        StoredLogs(writer: logWriter, module: module, collection: collection)
    }

    var ledger: any Ledger { StoredLedger(queue: queue, module: module) }

    func written() async -> Bool {
        let isLogged = await logWriter.queue.written()
        return await queue.written() && isLogged
    }
}

struct StoredRecords: RecordCollection {
    let queue: WriteQueue
    let module: String
    let collection: String

    private static let insertion = """
        INSERT INTO record (module, collection, key, value, sequence)
        VALUES (?, ?, ?, ?, (SELECT coalesce(max(sequence), 0) + 1 FROM record WHERE module = ? AND collection = ?))
        ON CONFLICT (module, collection, key) DO UPDATE SET value = excluded.value
        """

    func value(for key: String) async throws -> [UInt8]? {
        try await queue.read { database in
            try Data.fetchOne(
                database, sql: "SELECT value FROM record WHERE module = ? AND collection = ? AND key = ?",
                arguments: [module, collection, key]
            ).map(Array.init)
        }
    }

    func values(for keys: [String]) async throws -> [String: [UInt8]] {
        guard !keys.isEmpty else { return [:] }
        let marks = Array(repeating: "?", count: keys.count).joined(separator: ", ")
        return try await queue.read { database in
            let rows = try Row.fetchAll(
                database,
                sql: "SELECT key, value FROM record WHERE module = ? AND collection = ? AND key IN (\(marks))",
                arguments: StatementArguments([module, collection] + keys))
            return Dictionary(rows.compactMap { pair($0) }.map { ($0.key, $0.value) }) { first, _ in first }
        }
    }

    func all() async throws -> [(key: String, value: [UInt8])] {
        try await queue.read { database in
            try Row.fetchAll(
                database, sql: "SELECT key, value FROM record WHERE module = ? AND collection = ? ORDER BY key",
                arguments: [module, collection]
            ).compactMap { pair($0) }
        }
    }

    func page(after key: String?, limit: Int, backwards: Bool) async throws -> [(key: String, value: [UInt8])] {
        let (comparison, order) = backwards ? ("<", "DESC") : (">", "ASC")
        return try await queue.read { database in
            let rows = try Row.fetchCursor(
                database,
                sql: """
                    SELECT key, value FROM record WHERE module = ?1 AND collection = ?2 \(key == nil ? "" : "AND key \(comparison) ?3")
                    ORDER BY key \(order)
                    """, arguments: key.map { [module, collection, $0] } ?? [module, collection])
            // A damaged row does not count, because a page that is not full is the last one.
            var page: [(key: String, value: [UInt8])] = []
            while page.count < limit, let row = try rows.next() {
                if let record = pair(row) { page.append(record) }
            }
            return page
        }
    }

    /// Returns the key and the value of a row; nil for a damaged one, which is logged, so that the others are read.
    private func pair(_ row: Row) -> (key: String, value: [UInt8])? {
        do {
            return (try row.value("key"), Array(try row.value("value", as: Data.self)))
        } catch {
            queue.warnOnce(
                of: "\(module)\0\(collection)",
                "A record of \(module) in \(collection) is damaged and was left out: \(error)")
            return nil
        }
    }

    func set(_ value: [UInt8], for key: String) async throws {
        try await queue.perform { try insert(value, for: key, in: $0) }
    }

    func put(_ value: [UInt8]?, for key: String) {
        queue.submit { database in
            if let value {
                try insert(value, for: key, in: database)
            } else {
                try Self.remove(key, of: collection, module, in: database)
            }
        }
    }

    func keep(_ value: [UInt8], for key: String) async {
        await queue.submit({ try insert(value, for: key, in: $0) }, keeping: (module, collection, key, value))
    }

    func replaceAll(with records: [(key: String, value: [UInt8])]) async throws {
        try await queue.perform { database in
            try database.execute(
                sql: "DELETE FROM record WHERE module = ? AND collection = ?", arguments: [module, collection])
            for record in records { try insert(record.value, for: record.key, in: database) }
        }
    }

    func remove(_ key: String) async throws {
        try await queue.perform { try Self.remove(key, of: collection, module, in: $0) }
    }

    static func remove(_ key: String, of collection: String, _ module: String, in database: Database) throws {
        try database.cachedStatement(sql: "DELETE FROM record WHERE module = ? AND collection = ? AND key = ?")
            .execute(arguments: [module, collection, key])
    }

    func trim(to count: Int) async throws {
        try await queue.perform { database in
            try database.execute(
                sql: """
                    DELETE FROM record WHERE module = ? AND collection = ? AND sequence <= (
                        SELECT sequence FROM record WHERE module = ? AND collection = ?
                        ORDER BY sequence DESC LIMIT 1 OFFSET ?)
                    """, arguments: [module, collection, module, collection, count])
        }
    }

    private func insert(_ value: [UInt8], for key: String, in database: Database) throws {
        try Self.insert(value, for: key, of: collection, module, in: database)
    }

    static func insert(
        _ value: [UInt8], for key: String, of collection: String, _ module: String, in database: Database
    ) throws {
        try database.cachedStatement(sql: insertion)
            .execute(arguments: [module, collection, key, Data(value), module, collection])
    }
}
