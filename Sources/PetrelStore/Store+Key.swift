package import Foundation
import GRDB
import PetrelKit

extension Store {
    /// Looks whether the key fits what is stored, after an interrupted rotation too. Throws where the key is there and
    /// cannot be used.
    /// - Returns: what whoever runs the bot has to know; nil where all is well.
    package func checkKey() throws -> String? {
        try finishRotation()
        let ids = try database.read { database in
            try String.fetchAll(database, sql: "SELECT key_id FROM secret")
        }
        let key = try keys.existing()
        let lost = ids.count { $0 != key?.id }
        guard lost > 0 else { return nil }
        let what = key == nil ? "the key of the store is gone" : "the key of the store is not the one that sealed them"
        return "\(lost) stored logins cannot be opened: \(what). Nothing else is lost; the people log in again."
    }

    /// Seals everything anew. The new key lies beside the old one until the store has changed over, so that a crash at
    /// any point loses neither.
    /// - Parameter path: where the new key goes; nil to replace the file of the old one.
    /// - Returns: how many records were sealed anew.
    package func rotateKey(to path: String?) throws -> Int {
        try finishRotation()
        guard let target = path ?? keys.path else { throw StoreFailure(place: "store.key", message: "names no file") }
        let old = try keys.existing()
        let new = StoreKey.random()
        let written = path ?? target + Self.newSuffix
        try KeyRing.write(new, to: written)
        let count = try database.write { database in
            let rows = try Row.fetchAll(
                database, sql: "SELECT * FROM secret WHERE key_id = ?", arguments: [old?.id ?? ""]
            ).map(SealedRow.init)
            for var row in rows {
                let place = SealedRecords.place(row.module, row.collection, row.key)
                guard let value = try old?.open(row.sealed, at: place) else { continue }
                row.sealed = try new.seal(value, at: place)
                row.keyID = new.id
                try row.save(in: database)
            }
            return rows.count
        }
        if path == nil { try Self.move(written, to: target) }
        keys.replace(with: new)
        return count
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
    }

    /// Removes sealed records that nobody has renewed since then.
    package func purgeSecrets(before time: Date) async throws {
        try await database.write { database in
            try database.execute(sql: "DELETE FROM secret WHERE time < ?", arguments: [time.timeIntervalSince1970])
        }
    }
}
