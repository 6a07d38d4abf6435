import Foundation
import GRDB
import PetrelKit

extension Store {
    /// Copies the whole database into a new file, beside the process that uses it. What is sealed stays sealed: the key
    /// is not in the copy.
    ///
    /// The file appears under its name only once it is whole and on the disk.
    /// - Parameter path: must not exist yet.
    package func backup(to path: String) throws(StoreFailure) {
        guard !FileManager.default.fileExists(atPath: path) else {
            throw StoreFailure(place: "--to", message: "\(path) exists already, and is not replaced")
        }
        let temporary = "\(path).\(getpid())"
        // Made, never found: a link in its place would lead elsewhere.
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw StoreFailure(
                place: "--to", message: "\(temporary) cannot be made: \(String(cString: strerror(errno)))")
        }
        Foundation.close(file)
        defer { unlink(temporary) }
        do {
            let copy = try DatabaseQueue(path: temporary)
            try database.backup(to: copy)
            try copy.close()
        } catch {
            throw StoreFailure(place: "--to", message: "\(path) could not be written: \(error)")
        }
        KeyRing.syncFile(temporary)
        guard link(temporary, path) == 0 else {
            throw StoreFailure(place: "--to", message: "\(path) cannot be made: \(String(cString: strerror(errno)))")
        }
        KeyRing.syncFolder(of: path)
    }

    /// What is in the store, and what is wrong with it.
    package struct Findings: Sendable {
        /// How many rows each table has, by its name.
        package var rows: [(table: String, count: Int)] = []
        /// SQLite's own words; empty where all is well.
        package var problems: [String] = []
    }

    /// Reads every page (`PRAGMA integrity_check`) and compares the schema with this version's.
    package func findings() throws -> Findings {
        let known = Self.migrator
        return try database.read { database in
            var findings = Findings()
            findings.problems = try String.fetchAll(database, sql: "PRAGMA integrity_check").filter { $0 != "ok" }
            if try known.hasBeenSuperseded(database) { findings.problems.append("it was written by a newer Petrel") }
            let tables = try String.fetchAll(
                database,
                sql: """
                    SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'
                    AND name NOT LIKE 'grdb%' ORDER BY name
                    """)
            for table in tables {
                let count = try Int.fetchOne(database, sql: "SELECT count(*) FROM \"\(table)\"") ?? 0
                findings.rows.append((table, count))
            }
            return findings
        }
    }
}
