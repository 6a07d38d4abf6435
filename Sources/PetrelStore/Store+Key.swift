package import Foundation
import GRDB
import PetrelKit

extension Store {
    /// Completes an interrupted rotation and checks that the key decrypts the stored secrets.
    ///
    /// - Returns: A warning for the operator, or nil if none exists.
    /// - Throws: ``StoreFailure`` if there is a key that cannot be used.
    package func checkKey() throws -> String? {
        try finishRotation()
        let key = try keys.existing()
        // A row that cannot be read counts as damaged.
        let rows = try database.read { database in
            try Row.fetchAll(database, sql: "SELECT * FROM secret").map { try? SealedRow($0) }
        }
        let foreign = rows.count { $0 != nil && $0?.keyID != key?.id }
        let damaged = rows.count { row in
            guard let row else { return true }
            guard let key, row.keyID == key.id else { return false }
            return (try? key.open(row.sealed, at: row.place)) == nil
        }
        let what = key == nil ? "the key of the store is missing" : "they were encrypted with another key"
        let news = [
            foreign > 0 ? "Stored logins that cannot be decrypted: \(foreign), because \(what)." : nil,
            damaged > 0 ? "Stored logins that are damaged: \(damaged)." : nil,
        ].compactMap { $0 }
        return news.isEmpty
            ? nil : (news + ["No other data is affected; these users have to log in again."]).joined(separator: " ")
    }

    /// Creates a key if none exists. Throws if there is no usable key and none can be created.
    package func needKey() throws { _ = try keys.needed() }

    /// Encrypts all secrets with a new key.
    ///
    /// The new key is stored next to the old one until the database uses it, so that a crash at any point loses
    /// neither. Data that is encrypted with the old key is erased from the files, in case the old key has leaked.
    ///
    /// - Parameter path: The file for the new key, or nil to replace the file of the old one.
    /// - Returns: The number of records that were encrypted with the new key.
    package func rotateKey(to path: String?) throws -> Int {
        try finishRotation()
        guard let target = path ?? keys.path else {
            throw StoreFailure(place: "store.key", message: "does not name a file")
        }
        let old = try keys.existing()
        let new = StoreKey.random()
        let written = path ?? target + Self.newSuffix
        try KeyRing.write(new, to: written)
        let count: Int
        do {
            count = try seal(from: old, with: new)
        } catch {
            // The new key was not used yet.
            unlink(written)
            throw error
        }
        if path == nil { try Self.move(written, to: target) }
        keys.replace(with: new)
        do {
            try checkpointer?.emptyLog()
        } catch {
            throw StoreFailure(
                place: "store.path",
                message: "the new key is in use, but another program is reading the database, so its write-ahead log "
                    + "may still contain data that is encrypted with the old key: end that program, then start and "
                    + "stop Petrel once (\(error))"
            )
        }
        return count
    }

    /// Encrypts the secrets with the new key in one transaction, and syncs it to the disk.
    private func seal(from old: StoreKey?, with new: StoreKey) throws -> Int {
        try database.writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA synchronous = FULL")
            defer { try? database.execute(sql: "PRAGMA synchronous = NORMAL") }
            var count = 0
            try database.inTransaction {
                let rows = try Row.fetchAll(
                    database, sql: "SELECT * FROM secret WHERE key_id = ?", arguments: [old?.id ?? ""]
                ).map(SealedRow.init)
                for var row in rows {
                    guard let value = try? old?.open(row.sealed, at: row.place) else {
                        // The record is damaged and cannot be recovered.
                        try database.execute(
                            sql: "DELETE FROM secret WHERE module = ? AND collection = ? AND key = ?",
                            arguments: [row.module, row.collection, row.key])
                        continue
                    }
                    row.sealed = try new.seal(value, at: row.place)
                    row.keyID = new.id
                    try row.save(in: database)
                    count += 1
                }
                return .commit
            }
            return count
        }
    }

    private static let newSuffix = ".new"

    /// Completes or discards an interrupted rotation, depending on whether the database already uses the new key.
    private func finishRotation() throws {
        guard let path = keys.path, let new = try KeyRing.read(path + Self.newSuffix) else { return }
        let isUsed = try database.read { database in
            try Bool.fetchOne(
                database, sql: "SELECT EXISTS (SELECT 1 FROM secret WHERE key_id = ?)", arguments: [new.id]) ?? false
        }
        if isUsed {
            try Self.move(path + Self.newSuffix, to: path)
        } else {
            try FileManager.default.removeItem(atPath: path + Self.newSuffix)
        }
    }

    private static func move(_ path: String, to target: String) throws(StoreFailure) {
        guard rename(path, target) == 0 else {
            throw StoreFailure(
                place: "store.key",
                message: "\(path) cannot be renamed to \(target): \(String(cString: strerror(errno)))")
        }
        KeyRing.syncFolder(of: target)
    }

    /// Removes old records that are encrypted with another key than the current one. Sessions in the other records
    /// expire by themselves.
    package func purgeSecrets(before time: Date) async throws {
        let id = try keys.existing()?.id ?? ""
        try await database.write { database in
            try database.execute(
                sql: "DELETE FROM secret WHERE time < ? AND key_id != ?", arguments: [time.timeIntervalSince1970, id])
        }
    }
}
