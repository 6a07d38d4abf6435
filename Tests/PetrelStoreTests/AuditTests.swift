import Foundation
import PetrelKit
import PetrelTesting
import Testing

@testable import PetrelStore

@Suite(.timeLimit(.minutes(30))) struct AuditTests {
    private static func entry(_ number: Int, line: String? = nil, time: Date = .now) -> AuditEntry {
        AuditEntry(
            time: time, backend: "text", person: "@alice", name: "@alice", room: "#ops",
            line: line ?? "st2 echo \(number) \(String(repeating: "x", count: 1_900))", isAllowed: true, rule: nil,
            reason: "no access rules are configured, so everyone is allowed")
    }

    @Test func `the audit log has a maximum size, and the oldest entries are removed first`() async throws {
        let store = try Store()
        store.audit.limit(to: 1_000_000)
        for number in 0..<2_000 { store.audit.record(Self.entry(number)) }
        let kept = try await store.audit.entries(AuditQuery(limit: 5_000))
        let bytes = kept.reduce(0) { $0 + $1.line.utf8.count + 200 }
        #expect(bytes < 1_000_000 && bytes > 700_000, "\(bytes)")
        #expect(kept.first?.line.hasPrefix("st2 echo 1999 ") == true)
    }

    @Test func `repeated commands share one entry with all executions`() async throws {
        let store = try Store()
        let time = Date.now
        var ids: Set<UUID> = []
        for number in 0..<5 {
            let id = store.audit.record(Self.entry(0, line: "st2 echo x", time: time))
            ids.insert(id)
            store.audit.started(number == 4 ? "job 4" : "e\(number)", line: nil, by: id)
        }
        store.audit.record(Self.entry(0, line: "st2 echo y", time: time))
        let kept = try await store.audit.entries(AuditQuery())
        #expect(ids.count == 1 && kept.map(\.repeats) == [0, 4])
        #expect(kept.last?.executions == ["e0", "e1", "e2", "e3", "job 4"])
    }

    @Test func `entries are found by the name of their person with and without @, and know private rooms`() async throws
    {
        let store = try Store()
        for (person, isPrivate) in [("@alice", true), ("alice", false), ("bob", false)] {
            store.audit.record(
                AuditEntry(
                    backend: "text", person: "U-\(person)", name: person, room: "R", isPrivateRoom: isPrivate,
                    line: "x",
                    isAllowed: true, rule: nil, reason: ""))
        }
        let kept = try await store.audit.entries(AuditQuery(person: "alice"))
        #expect(kept.map(\.name) == ["alice", "@alice"] && kept.map(\.isPrivateRoom) == [false, true])
        #expect(try await store.audit.entries(AuditQuery(person: "@alice")).map(\.name) == ["@alice"])
    }
}
