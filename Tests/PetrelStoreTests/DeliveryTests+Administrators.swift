import CoreMetrics
import Foundation
import Logging
import PetrelKit
import PetrelTesting
import Testing

@testable import PetrelCore
@testable import PetrelStore

/// Tests of the reports to administrators about undeliverable messages.
extension DeliveryTests {
    @Test func `administrators are told once in their room that a room does not exist`() async throws {
        let backend = RecordingBackend { _, address in
            if address.place == .room("#gone") { throw SendFailure("no such room", .never) }
        }
        let host = try TestHost([backend], policy: Dispatcher.Policy(), adminRooms: ["#bots", "#gone"])
        let module = host.access(for: "m").chat
        try await host.run([]) {
            for text in ["a", "b"] { try module.say(Reply(text), at: Address(backend: "test", place: .room("#gone"))) }
            let told = await backend.next()
            #expect(told?.address.place == .room("#bots"))
            #expect(
                told?.reply.text
                    == "Cannot deliver messages to #gone on test: no such room. They are kept: "
                    + "`petrel outbox list` shows them, and `petrel outbox retry` sends them again.")
            try module.say(Reply("end"), at: Address(backend: "test", place: .room("#bots")))
            #expect(await backend.next()?.reply.text == "end")
        }
    }

    @Test func `a message to an ambiguous administrators' room becomes a dead letter`() async throws {
        let (first, second) = (RecordingBackend(name: "a"), RecordingBackend(name: "b"))
        let store = try TestStore()
        let host = try TestHost(
            [first, second], policy: Dispatcher.Policy(), store: store, adminRooms: ["#bots", "a/#own"])
        let module = host.access(for: "m").chat
        try await host.run([]) {
            module.tellAdmins("Look here.")
            // The report about the other room is sent to this one as well. It may come first.
            let sent = [await first.next(), await first.next()].compactMap(\.self)
            #expect(sent.map(\.address.place) == [.room("#own"), .room("#own")])
            #expect(sent.contains { $0.reply.text == "Look here." })
            let start = "Cannot deliver messages to #bots: “#bots” could be on a or b"
            #expect(sent.contains { $0.reply.text.utf8.starts(with: start.utf8) }, "\(sent.map(\.reply.text))")
        }
        let letters = try await store.store.outbox.deadLetters(limit: 10)
        #expect(letters.map(\.entry.reply.text) == ["Look here."])
    }
}
