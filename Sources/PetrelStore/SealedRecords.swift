import Foundation
import GRDB
import PetrelKit

/// A collection of records that are encrypted in the database.
struct SealedRecords: RecordCollection {
    let queue: WriteQueue
    let keys: KeyRing
    let module: String
    let collection: String

    func value(for key: String) async throws -> [UInt8]? {
        let row = try await queue.read { database in
            try Row.fetchOne(
                database, sql: "SELECT * FROM secret WHERE module = ? AND collection = ? AND key = ?",
                arguments: [module, collection, key]
            ).map(SealedRow.init)
        }
        return try row.flatMap { try opened($0) }
    }

    func all() async throws -> [(key: String, value: [UInt8])] {
        let rows = try await queue.read { database in
            try Row.fetchAll(
                database, sql: "SELECT * FROM secret WHERE module = ? AND collection = ? ORDER BY key",
                arguments: [module, collection]
            ).compactMap { row in
                do { return try SealedRow(row) } catch {
                    queue.warnOnce(
                        of: "\(module)\0\(collection)",
                        "A record of \(module) in \(collection) is damaged and was left out: \(error)")
                    return nil
                }
            }
        }
        return rows.compactMap { row in
            do {
                return try opened(row).map { (row.key, $0) }
            } catch {
                // The others are readable nevertheless. The key may name a person, so the log does not contain it.
                queue.warnOnce(
                    of: row.place,
                    "A record of \(module) in \(collection), from \(row.time.formatted(.iso8601)), is damaged and was "
                        + "left out: \(error)")
                return nil
            }
        }
    }

    /// Decrypts a record, or returns nil if it is encrypted with another key.
    private func opened(_ row: SealedRow) throws -> [UInt8]? {
        guard let storeKey = try keys.existing(), storeKey.id == row.keyID else { return nil }
        return try storeKey.open(row.sealed, at: row.place)
    }

    func set(_ value: [UInt8], for key: String) async throws {
        let row = try sealed(value, key)
        try await queue.perform { try row.save(in: $0) }
    }

    /// Stores a secret later. A secret that cannot be encrypted is lost; use ``set(_:for:)`` to get the error.
    func put(_ value: [UInt8]?, for key: String) {
        queue.submit { database in
            if let value { try sealed(value, key).save(in: database) } else { try remove(key, in: database) }
        }
    }

    func keep(_ value: [UInt8], for key: String) async {
        put(value, for: key)
        _ = await queue.written()
    }

    func replaceAll(with records: [(key: String, value: [UInt8])]) async throws {
        let rows = try records.map { try sealed($0.value, $0.key) }
        try await queue.perform { database in
            try database.execute(
                sql: "DELETE FROM secret WHERE module = ? AND collection = ?", arguments: [module, collection])
            for row in rows { try row.save(in: database) }
        }
    }

    func remove(_ key: String) async throws { try await queue.perform { try remove(key, in: $0) } }

    private func remove(_ key: String, in database: Database) throws {
        try database.execute(
            sql: "DELETE FROM secret WHERE module = ? AND collection = ? AND key = ?",
            arguments: [module, collection, key])
    }

    func trim(to count: Int) async throws {
        try await queue.perform { database in
            try database.execute(
                sql: """
                    DELETE FROM secret WHERE module = ?1 AND collection = ?2 AND key NOT IN (
                        SELECT key FROM secret WHERE module = ?1 AND collection = ?2 ORDER BY time DESC LIMIT ?3)
                    """, arguments: [module, collection, count])
        }
    }

    private func sealed(_ value: [UInt8], _ key: String) throws -> SealedRow {
        let storeKey = try keys.needed()
        var row = SealedRow(
            module: module, collection: collection, key: key, keyID: storeKey.id, sealed: Data(), time: .now)
        row.sealed = try storeKey.seal(value, at: row.place)
        return row
    }
}

struct SealedRow: Sendable {
    var module: String
    var collection: String
    var key: String
    var keyID: String
    var sealed: Data
    var time: Date

    /// The identity of the record, which is authenticated: the bytes cannot be decrypted in another row.
    var place: String { [module, collection, key].joined(separator: "\0") }

    init(module: String, collection: String, key: String, keyID: String, sealed: Data, time: Date) {
        self.module = module
        self.collection = collection
        self.key = key
        self.keyID = keyID
        self.sealed = sealed
        self.time = time
    }

    init(_ row: Row) throws {
        self.init(
            module: try row.value("module"), collection: try row.value("collection"), key: try row.value("key"),
            keyID: try row.value("key_id"), sealed: try row.value("sealed"), time: try row.time("time"))
    }

    func save(in database: Database) throws {
        try database.execute(
            sql:
                "INSERT OR REPLACE INTO secret (module, collection, key, key_id, sealed, time) VALUES (?, ?, ?, ?, ?, ?)",
            arguments: [module, collection, key, keyID, sealed, time.timeIntervalSince1970])
    }
}
