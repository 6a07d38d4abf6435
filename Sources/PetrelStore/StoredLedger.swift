import Foundation
import GRDB
import PetrelKit

extension Store {
    /// Removes the oldest entries of all ledgers until at most `count` are left. Returns the number of removed entries.
    @discardableResult
    package func purgeLedger(keeping count: Int64) async throws -> Int {
        try await queue.perform { database in
            try database.execute(
                sql: "DELETE FROM ledger WHERE sequence <= (SELECT max(sequence) FROM ledger) - ?", arguments: [count])
            return database.changesCount
        }
    }
}

struct StoredLedger: Ledger {
    let queue: WriteQueue
    let module: String

    func last() async throws -> Int64 {
        let module = module
        return try await queue.perform { database in
            try Int64.fetchOne(database, sql: "SELECT max(sequence) FROM ledger WHERE module = ?", arguments: [module])
                ?? 0
        }
    }

    func unsaid(among entries: [LedgerEntry]) async throws -> [LedgerEntry] {
        let module = module
        return try await queue.perform { database in
            let unknown = try entries.filter { try !Self.isKnown($0, module, database) }
            var heard = try Self.heard(Set(unknown.map(\.content)), module, database)
            // The same source may occur twice in the entries, so it is looked up again.
            return try unknown.filter { entry in
                try !Self.isKnown(entry, module, database) && !Self.pair(entry, with: &heard, in: database)
            }
        }
    }

    private static func isKnown(_ entry: LedgerEntry, _ module: String, _ database: Database) throws -> Bool {
        let known = try database.cachedStatement(sql: "SELECT 1 FROM ledger WHERE module = ? AND source = ?")
        return try Bool.fetchOne(known, arguments: [module, entry.source]) == true
    }

    /// Returns the sequence numbers of the entries with these contents that have no source yet, the newest first.
    ///
    /// The query scans all entries without a source. It is rare, and an index by content would cost every insertion a
    /// random page write.
    private static func heard(
        _ contents: Set<[UInt8]>, _ module: String, _ database: Database
    ) throws -> [[UInt8]: [Int64]] {
        guard !contents.isEmpty else { return [:] }
        var heard: [[UInt8]: [Int64]] = [:]
        let statement = try database.cachedStatement(
            sql: """
                SELECT sequence, content FROM ledger WHERE module = ? AND source IS NULL ORDER BY sequence DESC
                """)
        let rows = try Row.fetchCursor(statement, arguments: [module])
        while let row = try rows.next() {
            let content = Array(try row.value(1, as: Data.self))
            if contents.contains(content) { heard[content, default: []].append(try row.value(0)) }
        }
        return heard
    }

    /// Assigns the source to the oldest entry with the same content. Returns false if there is no such entry.
    private static func pair(
        _ entry: LedgerEntry, with heard: inout [[UInt8]: [Int64]], in database: Database
    ) throws -> Bool {
        guard let sequence = heard[entry.content]?.popLast() else { return false }
        try database.cachedStatement(sql: "UPDATE ledger SET source = ? WHERE sequence = ?")
            .execute(arguments: [entry.source, sequence])
        return true
    }

    func note(_ entry: LedgerEntry) {
        queue.submit { [module] in try Self.insert(entry, module, in: $0) }
    }

    func forget(through number: Int64, heardThrough heard: Int64) async throws {
        let module = module
        try await queue.perform { database in
            try database.execute(
                sql: """
                    DELETE FROM ledger WHERE module = ? AND sequence <= ?;
                    DELETE FROM ledger WHERE module = ? AND source IS NULL AND sequence <= ?
                    """, arguments: [module, number, module, heard])
        }
    }

    static func insert(_ entry: LedgerEntry, _ module: String, in database: Database) throws {
        try database.cachedStatement(sql: "INSERT INTO ledger (module, content, source) VALUES (?, ?, ?)")
            .execute(arguments: [module, Data(entry.content), entry.source])
    }
}
