import Foundation
import Logging
import PetrelKit
import PetrelStore
import PetrelSupport
import PetrelTesting
import Testing

@testable import PetrelCore

@Suite(.timeLimit(.minutes(30))) struct PlaceDirectoryTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private static func message(_ id: String, isStable: Bool) -> ChatMessage {
        ChatMessage(
            id: "1", sender: Person(id: id, name: "@\(id)", isStable: isStable), room: Room(id: "R", name: "#ops"),
            text: "x")
    }

    @Test func `a name that several persons have stands for all of them, and an earlier name for nobody`() async throws
    {
        let directory = PlaceDirectory()
        func remember(_ id: String, _ name: String) {
            directory.remember(ChatMessage(id: "1", sender: Person(id: id, name: name), room: nil, text: "x"), on: "px")
        }
        for (id, name) in [("U2", "@bob"), ("U3", "@bob"), ("U4", "@old"), ("U4", "@new")] { remember(id, name) }
        func ids(_ name: String) -> [String] { directory.people(named: name, on: "px").map(\.id) }
        #expect(ids("@bob") == ["U2", "U3"] && ids("U3") == ["U3"])
        #expect(ids("@new") == ["U4"] && ids("@old").isEmpty && ids("@nobody").isEmpty)
        #expect(directory.people(named: "@bob", on: "other").isEmpty)
    }

    @Test func `persons without an account are not stored, and the number of the others is limited`() async throws {
        let store = try Store()
        let storage = store.storage(for: "places")
        let directory = PlaceDirectory()
        await directory.restore(from: storage, Self.logger)
        for number in 0..<50 { directory.remember(Self.message("visit\(number)", isStable: false), on: "xmpp") }
        directory.remember(Self.message("alice", isStable: true), on: "xmpp")
        #expect(directory.backends(of: "visit1").isEmpty && directory.backends(of: "@alice") == ["xmpp"])
        await store.written()
        #expect(try await storage.records(PlaceDirectory.collection).all().count == 2)
        for number in 0..<12_000 { directory.remember(Self.message("u\(number)", isStable: true), on: "xmpp") }
        await store.written()
        let kept = try await storage.records(PlaceDirectory.collection).all().count
        #expect(kept <= 5_000, "\(kept)")
        let next = PlaceDirectory()
        await next.restore(from: storage, Self.logger)
        #expect(next.backends(of: "u11999") == ["xmpp"] && next.backends(of: "u1").isEmpty)
    }

    @Test func `it is known after a restart that a room is private, and that it is not any more`() async throws {
        let store = try Store()
        let storage = store.storage(for: "places")
        for isPrivate in [true, false, true] {
            let directory = PlaceDirectory()
            await directory.restore(from: storage, Self.logger)
            var message = Self.message("alice", isStable: true)
            message.room?.isPrivate = isPrivate
            directory.remember(message, on: "slack")
            #expect(directory.room(named: "#ops", on: "slack")?.isPrivate == isPrivate)
            await store.written()
            let next = PlaceDirectory()
            await next.restore(from: storage, Self.logger)
            for name in ["R", "#ops"] { #expect(next.room(named: name, on: "slack")?.isPrivate == isPrivate) }
        }
    }

    @Test func `an invalid record is logged and does not affect the others`() async throws {
        let store = try Store()
        let storage = store.storage(for: "places")
        let directory = PlaceDirectory()
        await directory.restore(from: storage, Self.logger)
        directory.remember(Self.message("alice", isStable: true), on: "xmpp")
        for key in ["a", "b"] {
            try await storage.records(PlaceDirectory.collection).set(Array("{}".utf8), for: key)
        }
        let lines = Locked<[String]>([])
        let next = PlaceDirectory()
        await next.restore(from: storage, Logger(label: "test") { _ in CollectingLogHandler(lines) })
        #expect(next.backends(of: "@alice") == ["xmpp"])
        #expect(lines.value.count == 1)
        #expect(lines.value.first?.hasPrefix("Cannot read 2 entries of the place directory, such as a: ") == true)
    }
}
