import Foundation
import GRDB
import PetrelKit
import PetrelTesting
import Testing

@testable import PetrelStore

@Suite struct BackupTests {
    @Test func `a backup of a database in use is complete`() async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("petrel.db").path
            let copy = folder.appendingPathComponent("copy.db").path
            let store = try Store(path: path, keys: .ephemeral())
            let records = store.storage(for: "m").records("c")
            for number in 0..<200 { try await records.set([UInt8(number)], for: "\(number)") }
            try await store.storage(for: "m").sealed("s").set(Array("a secret".utf8), for: "k")
            try Store(readingOnly: path).backup(to: copy)
            try await records.set([1], for: "later")
            #expect(try FileManager.default.attributesOfItem(atPath: copy)[.posixPermissions] as? Int == 0o600)
            #expect(try Data(contentsOf: URL(fileURLWithPath: copy)).range(of: Data("a secret".utf8)) == nil)
            let restored = try Store(path: copy, keys: .ephemeral())
            #expect(try await restored.storage(for: "m").records("c").all().count == 200)
            #expect(throws: StoreFailure.self) { try store.backup(to: copy) }
            let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            #expect(
                !names.contains { name in
                    name.hasPrefix("copy.db.")
                        && !["-wal", "-shm", ".lock", ".pending"].contains { name.hasSuffix($0) }
                })
        }
    }

    @Test func `a check counts rows and finds damaged pages`() async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("petrel.db").path
            let store = try Store(path: path, keys: .ephemeral())
            let records = store.storage(for: "m").records("c")
            for number in 0..<500 { try await records.set([UInt8](repeating: 7, count: 200), for: "\(number)") }
            try store.close()
            let sound = try Store(readingOnly: path).findings()
            #expect(sound.problems.isEmpty)
            #expect(
                sound.rows.map(\.table) == [
                    "audit", "journal", "ledger", "log", "log_chunk", "outbox", "record", "secret",
                ])
            #expect(sound.rows.first { $0.table == "record" }?.count == 500)
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            try handle.seek(toOffset: 4_096 * 20)
            try handle.write(contentsOf: Data(repeating: 0xAA, count: 4_096 * 10))
            try handle.close()
            do {
                #expect(try Store(readingOnly: path).findings().problems.isEmpty == false)
            } catch {
                // SQLite may stop reading a damaged file, and reports it as well.
                #expect("\(error)".contains("malformed"))
            }
        }
    }
}
