package import Foundation
import GRDB
import PetrelKit

extension Store {
    /// Looks whether the key fits what is stored, after an interrupted rotation too. Throws where the key is there and
    /// cannot be used.
    /// - Returns: what whoever runs the bot has to know; nil where all is well.
    package func checkKey() throws -> String? {
        try finishRotation()
        let key = try keys.existing()
        let rows = try database.read { database in
            try Row.fetchAll(database, sql: "SELECT * FROM secret").map(SealedRow.init)
        }
        let foreign = rows.count { $0.keyID != key?.id }
        let damaged = rows.count { row in
            guard let key, row.keyID == key.id else { return false }
            return (try? key.open(row.sealed, at: row.place)) == nil
        }
        let what = key == nil ? "the key of the store is gone" : "the key of the store is not the one that sealed them"
        let news = [
            foreign > 0 ? "Stored logins that cannot be opened: \(foreign), because \(what)." : nil,
            damaged > 0 ? "Stored logins that are damaged: \(damaged)." : nil,
        ].compactMap { $0 }
        return news.isEmpty
            ? nil : (news + ["Nothing else is lost; the people log in again."]).joined(separator: " ")
    }

    /// Makes sure that there is a key, or that one can be made. Throws where it cannot.
    package func needKey() throws { _ = try keys.needed() }

    /// Seals everything anew. The new key lies beside the old one until the store has changed over, so that a crash at
    /// any point loses neither. Nothing is left of what the old key had sealed: whoever has that one may have a copy of the
    /// file tomorrow.
    /// - Parameter path: where the new key goes; nil to replace the file of the old one.
    /// - Returns: how many records were sealed anew.
    package func rotateKey(to path: String?) throws -> Int {
        try finishRotation()
        guard let target = path ?? keys.path else { throw StoreFailure(place: "store.key", message: "names no file") }
        let old = try keys.existing()
        let new = StoreKey.random()
        let written = path ?? target + Self.newSuffix
        try KeyRing.write(new, to: written)
        let count: Int
        do {
            count = try seal(from: old, with: new)
        } catch {
            // Nothing was sealed with it.
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
                message: "the new key is in use, but another program reads the store, so that what the old key sealed "
                    + "may still stand in the log beside it: end that program, then start and stop Petrel once (\(error))"
            )
        }
        return count
    }

    /// On the disk before it returns.
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
                        // Damaged: it would be so under every key.
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

    /// A rotation that stopped half-way: either the store uses the new key already, or it never will.
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
                message: "\(path) could not be renamed to \(target): \(String(cString: strerror(errno)))")
        }
        KeyRing.syncFolder(of: target)
    }

    /// Removes what was sealed before then with a key that is gone. What can be opened ends by itself.
    package func purgeSecrets(before time: Date) async throws {
        let id = try keys.existing()?.id ?? ""
        try await database.write { database in
            try database.execute(
                sql: "DELETE FROM secret WHERE time < ? AND key_id != ?", arguments: [time.timeIntervalSince1970, id])
        }
    }
}
