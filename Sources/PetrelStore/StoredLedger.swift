import Foundation
import GRDB
import PetrelKit

extension Store {
    /// Removes the oldest entries of the ledgers beyond so many. Returns how many.
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
            try entries.filter { try !Self.isSaid($0, module, database) }
        }
    }

    private static func isSaid(_ entry: LedgerEntry, _ module: String, _ database: Database) throws -> Bool {
        let content = Data(entry.content)
        let known = try database.cachedStatement(sql: "SELECT 1 FROM ledger WHERE module = ? AND source = ?")
        if try Bool.fetchOne(known, arguments: [module, entry.source]) == true { return true }
        let pairing = try database.cachedStatement(
            sql: """
                UPDATE ledger SET source = ?1 WHERE sequence = (
                    SELECT sequence FROM ledger WHERE module = ?2 AND content = ?3 AND source IS NULL
                    ORDER BY sequence LIMIT 1)
                """)
        try pairing.execute(arguments: [entry.source, module, content])
        return database.changesCount > 0
    }

    func note(_ entry: LedgerEntry) {
        queue.submit { [module] in try Self.insert(entry, module, in: $0) }
    }

    func forget(through number: Int64) async throws {
        let module = module
        try await queue.perform { database in
            try database.execute(
                sql: "DELETE FROM ledger WHERE module = ? AND sequence <= ?", arguments: [module, number])
        }
    }

    static func insert(_ entry: LedgerEntry, _ module: String, in database: Database) throws {
        try database.cachedStatement(sql: "INSERT INTO ledger (module, content, source) VALUES (?, ?, ?)")
            .execute(arguments: [module, Data(entry.content), entry.source])
    }
}
