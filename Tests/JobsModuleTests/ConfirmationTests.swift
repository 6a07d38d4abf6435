import FaultSuite
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import JobsModule

/// Confirmations that show a running job when Petrel dies.
@Suite(.timeLimit(.minutes(5))) struct ConfirmationTests {
    private static let settings: JSONValue = [
        "commands": [
            "x": ["command": "sh", "args": ["-c", "echo up; exec sleep 300"], "auth_strategy": "any"],
            "y": ["command": "true", "auth_strategy": "any", "no_handshake": true],
        ],
        "templates": ["handshake": "started", "success": "ok", "failure": "{{ error }}"], "stop_timeout": 1,
    ]
    private static let traits = BackendTraits(edits: true, forms: true)

    private static func confirmations(_ store: TestStore) -> Confirmations {
        Confirmations(store.storage(for: "jobs"), RecordReader(Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
    }

    /// Waits until no confirmation is stored.
    private static func untilEmpty(_ store: TestStore) async throws {
        let end = ContinuousClock.now + RecordingBackend.patience
        while try await !confirmations(store).all().isEmpty {
            try #require(ContinuousClock.now < end, "a confirmation is still stored")
            _ = await store.storage(for: "jobs").written()
        }
    }

    @Test func `After a crash, the confirmation shows the end of the job, without the button`() async throws {
        let store = try TestStore()
        try await JobsHouse(Self.settings, traits: Self.traits, store: store).run { house in
            house.backend.type("!x")
            let first = try #require(await house.backend.next())
            #expect(first.reply.buttons.count == 1)
            while await !house.ask("!tail").contains("up") {}
            while try await Self.confirmations(store).all().first?.confirmation.message == nil {
                _ = await house.ask("!tail")
            }
            let later = try await JobsFixture.afterCrash(store)
            try await JobsHouse(Self.settings, traits: Self.traits, store: later).run { house in
                var texts: Set<String> = []
                while texts.count < 2 {
                    let sent = try #require(await house.backend.next())
                    #expect(sent.isReplacement == sent.reply.text.hasPrefix("started\nJob 1: Killed after "))
                    if sent.isReplacement { #expect(sent.message == first.message && sent.reply.buttons.isEmpty) }
                    texts.insert(sent.isReplacement ? "confirmation" : sent.reply.text)
                }
                #expect(texts == ["confirmation", "Petrel ended while it was running"])
                try await Self.untilEmpty(later)
            }
        }
    }

    @Test func `A confirmation whose job has ended is completed at the next start, and one without a job is removed`()
        async throws
    {
        let store = try TestStore()
        let message = SentMessage(MessageReference(id: "m1"), at: Address(backend: "test", place: .room("#ops")))
        try await JobsHouse(Self.settings, traits: Self.traits, store: store).run { house in
            for _ in 0..<2 { #expect(await house.ask("!y") == "ok") }
            let center = try #require(house.modules.compactMap { $0 as? JobsModule }.first).center
            for id in 1...2 {
                let job = try #require(try await center.book.job(id))
                try center.confirmations.put(Reply("started", kind: .acknowledgement), message, of: job)
            }
            try await store.storage(for: "jobs").records("jobs").remove(JobRecord.key(1))
        }
        try await JobsHouse(Self.settings, traits: Self.traits, store: store).run { house in
            let sent = try #require(await house.backend.next())
            #expect(sent.isReplacement && sent.reply.text.hasPrefix("started\nJob 2: Successful after "))
            try await Self.untilEmpty(store)
        }
    }

    @Test func `A confirmation is no longer stored once it shows the end of its job`() async throws {
        let store = try TestStore()
        try await JobsHouse(Self.settings, traits: Self.traits, store: store).run { house in
            house.backend.type("!x")
            _ = await house.backend.next()
            while await !house.ask("!tail").contains("up") {}
            house.backend.type("!cancel 1")
            while await house.backend.next()?.reply.text.hasPrefix("started\nJob 1: Killed after ") != true {}
            try await Self.untilEmpty(store)
        }
    }
}
