import Foundation
import PetrelKit
import PetrelTesting
import Testing

@testable import PetrelStore

@Suite struct StoreTests {
    private static func withPath(_ body: (String) async throws -> Void) async throws {
        try await withFolder { try await body($0.appendingPathComponent("petrel.db").path) }
    }

    @Test func `records survive a restart`() async throws {
        try await Self.withPath { path in
            let first = try Store(path: path, keys: .ephemeral())
            try await first.storage(for: "m").records("c").set([1, 2], for: "k")
            try first.close()
        }
        try await Self.withPath { path in
            do {
                let store = try Store(path: path, keys: .ephemeral())
                let records = store.storage(for: "m").records("c")
                try await records.replaceAll(with: [("b", [2]), ("a", [1])])
                try await records.set([3], for: "b")
                try store.close()
            }
            let store = try Store(path: path, keys: .ephemeral())
            let all = try await store.storage(for: "m").records("c").all()
            #expect(all.map(\.key) == ["a", "b"])
            #expect(all.map(\.value) == [[1], [3]])
        }
    }

    @Test func `modules and collections are separate`() async throws {
        let store = try Store()
        try await store.storage(for: "m").records("c").set([1], for: "k")
        #expect(try await store.storage(for: "n").records("c").value(for: "k") == nil)
        #expect(try await store.storage(for: "m").records("d").value(for: "k") == nil)
        try await store.storage(for: "m").records("c").remove("k")
        #expect(try await store.storage(for: "m").records("c").value(for: "k") == nil)
    }

    @Test func `trimming keeps the newest`() async throws {
        let records = try Store().storage(for: "m").records("c")
        for number in 0..<10 { try await records.set([UInt8(number)], for: "\(number)") }
        try await records.trim(to: 3)
        #expect(try await records.all().map(\.key) == ["7", "8", "9"])
        try await records.trim(to: 5)
        #expect(try await records.all().count == 3)
    }

    @Test func `a second process is rejected`() async throws {
        try await Self.withPath { path in
            let first = try Store(path: path, keys: .ephemeral())
            #expect { try Store(path: path, keys: .ephemeral()) } throws: {
                "\($0)".contains("is in use by another Petrel process")
            }
            try first.close()
        }
    }

    @Test func `an error contains the path`() {
        #expect { try Store(path: "/nonexistent/petrel.db", keys: .ephemeral()) } throws: {
            "\($0)".hasPrefix("store.path: /nonexistent")
        }
    }

    @Test func `the file is readable only for its owner`() async throws {
        try await Self.withPath { path in
            let store = try Store(path: path, keys: .ephemeral())
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            try store.close()
        }
    }
}
