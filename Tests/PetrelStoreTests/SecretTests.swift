import Foundation
import GRDB
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import PetrelStore

@Suite struct SecretTests {
    private static func store(in folder: URL, _ source: StoreKeySource? = nil) throws -> Store {
        let usual = StoreKeySource.usual(folder.appendingPathComponent("petrel.key").path)
        return try Store(path: folder.appendingPathComponent("petrel.db").path, keys: KeyRing(source ?? usual))
    }

    private static func mode(_ file: URL) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int
    }

    private static func records(_ store: Store, _ module: String = "m") -> any RecordCollection {
        store.storage(for: module).sealed("sessions")
    }

    private static let token = Array("a very secret token".utf8)

    @Test func `secrets survive a restart and are encrypted in the database`() async throws {
        try await withFolder { folder in
            let key = folder.appendingPathComponent("petrel.key")
            var store = try Self.store(in: folder)
            #expect(!FileManager.default.fileExists(atPath: key.path))
            #expect(try await Self.records(store).value(for: "alice") == nil)
            #expect(!FileManager.default.fileExists(atPath: key.path), "the key is created when it is first needed")
            try await Self.records(store).set(Self.token, for: "alice")
            #expect(try Self.mode(key) == 0o600)
            try store.close()
            for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil) {
                #expect(try Data(contentsOf: file).range(of: Data(Self.token)) == nil, "\(file.lastPathComponent)")
            }
            store = try Self.store(in: folder)
            #expect(try store.checkKey() == nil)
            #expect(try await Self.records(store).value(for: "alice") == Self.token)
            #expect(try await Self.records(store).all().map(\.key) == ["alice"])
            #expect(try await Self.records(store, "other").value(for: "alice") == nil)
            try await Self.records(store).remove("alice")
            #expect(try await Self.records(store).all().isEmpty)
        }
    }

    @Test func `a record that was moved or changed cannot be decrypted`() async throws {
        try await withFolder { folder in
            let store = try Self.store(in: folder)
            try await Self.records(store).set(Self.token, for: "alice")
            try await store.database.write { try $0.execute(sql: "UPDATE secret SET key = 'mallory'") }
            await #expect(throws: (any Error).self) { try await Self.records(store).value(for: "mallory") }
        }
    }

    @Test func `a lost key is reported and affects only the stored logins`() async throws {
        try await withFolder { folder in
            let key = folder.appendingPathComponent("petrel.key")
            var store = try Self.store(in: folder)
            try await Self.records(store).set(Self.token, for: "alice")
            try await store.storage(for: "m").records("c").set([1], for: "k")
            try store.close()
            let kept = folder.appendingPathComponent("kept")
            try FileManager.default.moveItem(at: key, to: kept)
            store = try Self.store(in: folder)
            #expect(
                try store.checkKey()
                    == "Stored logins that cannot be decrypted: 1, because the key of the store is missing. "
                    + "No other data is affected; these users have to log in again.")
            #expect(try await Self.records(store).value(for: "alice") == nil)
            #expect(try await store.storage(for: "m").records("c").value(for: "k") == [1])
            try store.close()
            store = try Self.store(in: folder, .value(StoreKey.random().text))
            #expect(try store.checkKey()?.contains("they were encrypted with another key") == true)
            #expect(try await Self.records(store).all().isEmpty)
            try await Self.records(store).set(Self.token, for: "bob")
            try store.close()
            // Records that are encrypted with the old key still exist.
            store = try Self.store(in: folder, .file(kept.path))
            #expect(try await Self.records(store).all().map(\.key) == ["alice"])
        }
    }

    @Test func `a key file that other users can read is rejected`() async throws {
        try await withFolder { folder in
            let key = folder.appendingPathComponent("petrel.key")
            try KeyRing.write(.random(), to: key.path)
            for mode in [0o640, 0o604, 0o644] {
                try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: key.path)
                #expect { try Self.store(in: folder).checkKey() } throws: {
                    "\($0)".contains("other users can read \(key.path)")
                }
            }
            try FileManager.default.setAttributes([.posixPermissions: 0o400], ofItemAtPath: key.path)
            #expect(try Self.store(in: folder).checkKey() == nil)
        }
    }

    @Test(arguments: ["", "short", "AAAA", String(repeating: "g", count: 64)]) func `an invalid key is rejected`(
        text: String
    ) {
        #expect(StoreKey(Secret(text)) == nil)
        #expect { try KeyRing(.value(Secret(text))).existing() } throws: {
            "\($0)".contains("does not contain a valid key")
        }
    }

    @Test func `a key is read in base64 or hexadecimal and is never printed`() throws {
        let hexadecimal = try #require(StoreKey(Secret(String(repeating: "0f", count: 32))))
        let base64 = try #require(StoreKey(Secret(Data(repeating: 15, count: 32).base64EncodedString() + "\n")))
        #expect(hexadecimal.id == base64.id)
        #expect("\(hexadecimal.text)" == "•••")
    }

    @Test func `a systemd credential takes precedence over the default key file`() async throws {
        try await withFolder { folder in
            try KeyRing.write(.random(), to: folder.appendingPathComponent("petrel.key").path)
            let ring = KeyRing(.usual("/nowhere/petrel.key"), environment: ["CREDENTIALS_DIRECTORY": folder.path])
            #expect(try ring.existing() != nil)
            #expect(KeyRing(.file("/a"), environment: ["CREDENTIALS_DIRECTORY": folder.path]).path == "/a")
        }
    }

    @Test func `a rotation encrypts all secrets with a new key`() async throws {
        try await withFolder { folder in
            let key = folder.appendingPathComponent("petrel.key")
            var store = try Self.store(in: folder)
            for person in ["alice", "bob"] { try await Self.records(store).set(Self.token, for: person) }
            let old = try Data(contentsOf: key)
            #expect(try store.rotateKey(to: nil) == 2)
            #expect(try await Self.records(store).value(for: "bob") == Self.token)
            try store.close()
            #expect(try Data(contentsOf: key) != old)
            #expect(try Self.mode(key) == 0o600)
            store = try Self.store(in: folder)
            #expect(try store.checkKey() == nil)
            #expect(try await Self.records(store).all().count == 2)
        }
    }

    @Test func `an interrupted rotation is completed at the next start`() async throws {
        try await withFolder { folder in
            let key = folder.appendingPathComponent("petrel.key")
            let new = URL(fileURLWithPath: key.path + ".new")
            let store = try Self.store(in: folder)
            try await Self.records(store).set(Self.token, for: "alice")
            // Interrupted before the database used the new key.
            try KeyRing.write(.random(), to: new.path)
            try store.close()
            let second = try Self.store(in: folder)
            #expect(try second.checkKey() == nil)
            #expect(!FileManager.default.fileExists(atPath: new.path))
            // Interrupted after the database used the new key, before the file was renamed.
            let before = try Data(contentsOf: key)
            _ = try second.rotateKey(to: nil)
            try second.close()
            try FileManager.default.moveItem(at: key, to: new)
            try before.write(to: key)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: key.path)
            let third = try Self.store(in: folder)
            #expect(try third.checkKey() == nil)
            #expect(try await Self.records(third).value(for: "alice") == Self.token)
        }
    }

    @Test func `a damaged record is reported and does not affect others`() async throws {
        try await withFolder { folder in
            let store = try Self.store(in: folder)
            for person in ["alice", "bob"] { try await Self.records(store).set(Self.token, for: person) }
            try await store.database.write { try $0.execute(sql: "UPDATE secret SET sealed = x'00' WHERE key = 'bob'") }
            let lines = Locked<[String]>([])
            store.tell(Logger(label: "test") { _ in CollectingLogHandler(lines) })
            for _ in 0..<3 { #expect(try await Self.records(store).all().map(\.key) == ["alice"]) }
            #expect(lines.value.count { $0.contains("A record of m in sessions") && $0.contains("is damaged") } == 1)
            #expect(!lines.value.joined().contains("bob"))
            #expect(try store.checkKey()?.hasPrefix("Stored logins that are damaged: 1.") == true)
            #expect(try store.rotateKey(to: nil) == 1)
            #expect(try store.checkKey() == nil)
            #expect(try await Self.records(store).all().map(\.key) == ["alice"])
        }
    }

    @Test func `a rotation erases data that is encrypted with the old key`() async throws {
        try await withFolder { folder in
            let store = try Self.store(in: folder)
            for number in 0..<50 { try await Self.records(store).set(Self.token, for: "person \(number)") }
            let old = try await store.database.read { try Data.fetchAll($0, sql: "SELECT sealed FROM secret") }
            _ = try store.rotateKey(to: nil)
            try store.close()
            for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil) {
                let data = try Data(contentsOf: file)
                #expect(old.allSatisfy { data.range(of: $0) == nil }, "\(file.lastPathComponent)")
            }
        }
    }

    @Test func `a systemd credential may be readable for the group of the service`() async throws {
        try await withFolder { folder in
            let file = folder.appendingPathComponent("petrel.key").path
            try KeyRing.write(.random(), to: file)
            for (mode, isGood) in [(0o440, true), (0o444, false)] {
                try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
                let key = try? KeyRing(.credential(file)).existing()
                #expect((key != nil) == isGood)
            }
        }
    }

    @Test func `an audit entry is on one line and has a maximum length`() {
        let entry = AuditEntry(
            backend: "b", person: "p", name: String(repeating: "e\u{301}", count: 100_000), room: "#x\ny",
            line: "a\nb\u{1B}c\u{202E}d\u{2066}é",
            isAllowed: true, rule: nil, reason: "")
        let bounded = entry.bounded
        #expect(bounded.line == "a b c d é" && bounded.room == "#x y")
        #expect(bounded.name.utf8.count <= 2_010)
    }

    @Test func `the audit log returns entries in order, and old ones are removed`() async throws {
        let store = try Store()
        let audit = store.audit
        func entry(_ line: String, _ person: String, _ isAllowed: Bool, _ age: TimeInterval = 0) -> AuditEntry {
            AuditEntry(
                time: Date(timeIntervalSince1970: 1_000_000 - age), backend: "text", person: person, name: "@" + person,
                room: nil, line: line, isAllowed: isAllowed, rule: isAllowed ? nil : 2, reason: "r")
        }
        let run = entry("st2 login hunter2", "U1", true)
        audit.record(entry("old", "U1", true, 500))
        audit.record(run)
        audit.record(entry("denied", "U2", false))
        audit.started("6b01", line: "st2 login •••", by: run.id)
        audit.started("6b02", line: nil, by: run.id)
        var all = try await audit.entries(AuditQuery())
        #expect(all.map(\.line) == ["denied", "st2 login •••", "old"])
        #expect(all[1].executions == ["6b01", "6b02"])
        #expect(all[0].rule == 2 && !all[0].isAllowed)
        #expect(try await audit.entries(AuditQuery(person: "@U1", limit: 1)).map(\.line) == ["st2 login •••"])
        #expect(try await audit.entries(AuditQuery(person: "U2")).count == 1)
        #expect(try await audit.entries(AuditQuery(onlyDenied: true)).map(\.line) == ["denied"])
        #expect(try await audit.purge(before: Date(timeIntervalSince1970: 999_900)) == 1)
        all = try await audit.entries(AuditQuery())
        #expect(all.count == 2)
    }
}
