import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormSimulator
import Testing

@testable import StackStormModule

/// Announcements without context while a result without context is pending.
@Suite(.timeLimit(.minutes(30))) struct OrphanTests {
    private static func announced(_ text: String) throws -> Announced {
        let payload: JSONValue = ["channel": "#ops", "message": .string(text)]
        return Announced(try #require(Announcement(json: payload)), route: "errbot")
    }

    @Test func `an announcement that is held and appears in the history is posted once, after one lookup`() async throws
    {
        try await Bench.withSimulator { stackStorm, port in
            let calls = Locked(0)
            let client = try StackStormClient(Bench.client(port: port), logger: Bench.logger) { _, _ in
                calls.withLock { $0 += 1 }
            }
            let open = OpenExecutions(try TestStore().storage(for: "st2"), logger: Bench.logger)
            let orphans = Orphans(client, open: open, logger: Bench.logger)
            let response = orphans.begin(in: .room("#ops"))
            let heard = try Self.announced("to all")
            var replayed = heard
            replayed.source = await stackStorm.publish(
                payload: ["channel": "#ops", "message": "to all"], route: "errbot")
            await stackStorm.publish(payload: ["channel": "#ops", "message": "end"], route: "errbot")
            for announced in [heard, replayed, try Self.announced("end")] { #expect(orphans.hold(announced)) }
            response.open()
            let (found, continuation) = AsyncStream.makeStream(of: Announced.self)
            let running = Task { await orphans.run { continuation.yield($0) } }
            defer { running.cancel() }
            var results = found.makeAsyncIterator()
            let first = try #require(await results.next())
            #expect(first.announcement.text == "to all" && first.source == replayed.source && first.request == nil)
            #expect(await results.next()?.announcement.text == "end")
            // The announcement of the history has no parent, and the other one was looked up once.
            #expect(calls.value == 1)
        }
    }
}
