import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import JobsModule

/// Searches in more jobs than a search looks at.
@Suite(.timeLimit(.minutes(5))) struct SearchLimitTests {
    private static let settings: JSONValue = [
        "commands": ["x": ["command": "true", "auth_strategy": "any", "no_handshake": true]],
        "templates": ["success": "ok"], "retention_days": 36_500,
    ]

    @Test func `A list tells where the search has ended`() async throws {
        let store = try TestStore()
        let storage = store.storage(for: "jobs")
        try await JobsHouse(Self.settings, store: store).run { house in
            #expect(await house.ask("!x") == "ok")
            #expect(await house.ask("!jobs -status failed") == "No jobs found\n")
        }
        let value = try #require(try await storage.records("jobs").value(for: JobRecord.key(1)))
        let record = try JSONDecoder().decode(JobRecord.self, from: Data(value))
        let records = try (1...JobBook.longestSearch + 50).map { id in
            var job = record
            job.id = id
            return (key: job.key, value: try JSONValue.encode(job) as [UInt8])
        }
        try await storage.records("jobs").replaceAll(with: records)
        try await storage.records("jobs of test/@alice").replaceAll(with: records.map { ($0.key, Array("{}".utf8)) })
        try await JobsHouse(Self.settings, store: store).run { house in
            let text = "… Jobs before 51 were not searched: a search looks at the newest 20000."
            #expect(await house.ask("!jobs -status failed") == "No jobs found\n\(text)\n")
            #expect(await house.ask("!audit -status failed", as: "@root") == text)
            #expect(await !house.ask("!jobs").contains("searched"))
            #expect(await !house.ask("!audit -status successful", as: "@root").contains("searched"))
        }
        try await storage.records("jobs of test/@alice").replaceAll(
            with: records.dropFirst(50).map { ($0.key, Array("{}".utf8)) })
        try await JobsHouse(Self.settings, store: store).run { house in
            #expect(await house.ask("!jobs -status failed") == "No jobs found\n")
        }
    }
}
