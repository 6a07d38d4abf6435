import FaultSuite
import Foundation
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormSimulator
import Testing

@testable import StackStormModule

/// The recipients of announcements without a command, with two backends.
@Suite(.timeLimit(.minutes(30))) struct RoutingTests {
    private struct Rig: Sendable {
        let slack: RecordingBackend
        let text: RecordingBackend
        let stackStorm: SimulatedStackStorm
        let store: TestStore
        let host: TestHost

        func announce(_ channel: String, _ message: String, user: String? = nil, whisper: Bool = false) async {
            var payload: [String: JSONValue] = [
                "channel": .string(channel), "message": .string(message), "whisper": .bool(whisper),
            ]
            payload["user"] = user.map { .string($0) }
            await stackStorm.publish(payload: payload, route: "errbot")
        }

        /// Waits for a number of dead letters.
        func letters(_ count: Int) async throws -> [DeadLetter] {
            while true {
                let letters = try await store.store.outbox.deadLetters(limit: 10)
                if letters.count >= count { return letters }
                await Task.yield()
            }
        }
    }

    private static func run(
        store: TestStore? = nil, usual: String? = nil, _ body: @Sendable @escaping (Rig) async throws -> Void
    ) async throws {
        let store = try store ?? TestStore()
        try await Bench.withSimulator { stackStorm, port in
            var settings = StackStormModuleSettings(client: try Bench.client(port: port))
            settings.defaultBackend = usual
            let (slack, text) = (RecordingBackend(name: "slack"), RecordingBackend(name: "text"))
            let host = try TestHost(
                [slack, text], policy: Dispatcher.Policy(), store: store, defaultBackend: usual)
            try await host.run([try host.module(settings)]) {
                await stackStorm.untilHeard()
                try await body(Rig(slack: slack, text: text, stackStorm: stackStorm, store: store, host: host))
            }
        }
    }

    @Test func `a place that two backends can have is a dead letter with an explanation`() async throws {
        try await Self.run { rig in
            await rig.announce("#ops", "where")
            let letter = try #require(try await rig.letters(1).first)
            #expect(letter.entry.reply.text == "where" && letter.entry.address.place == .room("#ops"))
            #expect(letter.reason.contains("could be on slack or text: write slack/#ops"))
        }
    }

    @Test func `a backend before the name of a place selects it`() async throws {
        try await Self.run { rig in
            await rig.announce("text/#ops", "one")
            #expect(await rig.text.next()?.address == Address(backend: "text", place: .room("#ops")))
            await rig.announce("slack/#ops", "two")
            #expect(await rig.slack.next()?.address == Address(backend: "slack", place: .room("#ops")))
            await rig.announce("#ops", "three", user: "slack/@bob", whisper: true)
            #expect(await rig.slack.next()?.address == Address(backend: "slack", place: .direct("@bob")))
        }
    }

    @Test func `a place is on the backend on which it was seen, even after a restart`() async throws {
        let store = try TestStore()
        try await Self.run(store: store) { rig in
            rig.text.type("!help", in: "#ops")
            _ = await rig.text.next()
            await rig.announce("#ops", "seen")
            #expect(await rig.text.next()?.reply.text == "seen")
        }
        try await Self.run(store: store) { rig in
            await rig.announce("#ops", "after the restart")
            #expect(await rig.text.next()?.reply.text == "after the restart")
        }
    }

    @Test func `the default backend applies to ambiguous places, and dead letters can be sent again with it`()
        async throws
    {
        let store = try TestStore()
        try await Self.run(store: store) { rig in
            await rig.announce("#ops", "lost")
            _ = try await rig.letters(1)
        }
        try await Self.run(store: store, usual: "slack") { rig in
            await rig.announce("#ops", "now")
            #expect(await rig.slack.next()?.reply.text == "now")
            let retried = try await rig.store.store.outbox.retry(nil)
            #expect(retried == 1)
            try await rig.host.host.delivery.revive()
            #expect(await rig.slack.next()?.reply.text.hasSuffix("lost") == true)
        }
    }
}
