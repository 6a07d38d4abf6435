import Foundation
import GRDB
import PetrelKit

extension Store {
    /// Copies the database into a new file, while another process may use it.
    ///
    /// Secrets stay encrypted, and the copy does not contain their key. The file appears under its final name only when
    /// it is complete and synced to the disk.
    ///
    /// - Parameter path: The path of the new file, which must not exist.
    package func backup(to path: String) throws(StoreFailure) {
        guard !FileManager.default.fileExists(atPath: path) else {
            throw StoreFailure(place: "--to", message: "\(path) already exists and is not overwritten")
        }
        let temporary = "\(path).\(getpid())"
        // O_EXCL: an existing symbolic link could point elsewhere.
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw StoreFailure(
                place: "--to", message: "\(temporary) cannot be created: \(String(cString: strerror(errno)))")
        }
        Foundation.close(file)
        defer { unlink(temporary) }
        do {
            let copy = try DatabaseQueue(path: temporary)
            try database.backup(to: copy)
            try copy.close()
        } catch {
            throw StoreFailure(place: "--to", message: "\(path) cannot be written: \(error)")
        }
        KeyRing.syncFile(temporary)
        guard link(temporary, path) == 0 else {
            throw StoreFailure(place: "--to", message: "\(path) cannot be created: \(String(cString: strerror(errno)))")
        }
        KeyRing.syncFolder(of: path)
    }

    /// The result of a check of the database.
    package struct Findings: Sendable {
        /// The number of rows of each table, in the order of the table names.
        package var rows: [(table: String, count: Int)] = []
        /// The problems in the words of SQLite; empty if none exist.
        package var problems: [String] = []
    }

    /// Checks every page (`PRAGMA integrity_check`) and compares the schema with the current one.
    package func findings() throws -> Findings {
        let known = Self.migrator
        return try database.read { database in
            var findings = Findings()
            findings.problems = try String.fetchAll(database, sql: "PRAGMA integrity_check").filter { $0 != "ok" }
            if try known.hasBeenSuperseded(database) {
                findings.problems.append("it was written by a newer version of Petrel")
            }
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
