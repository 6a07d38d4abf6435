import Foundation
import Logging
import PetrelKit
import PetrelSupport
import Testing

@testable import StackStormClient

@Suite(.timeLimit(.minutes(30))) struct HandOverTests {
    private static let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n\n"

    private static func event(_ data: String) -> String { "event: e\ndata: \(data)\n\n" }

    @Test func `an event that two overlapping connections receive is handled once`() async throws {
        try await WireServer.run(answer: { $0 == 1 ? .text(Self.head) : .nothing }) { server, port in
            let url = try #require(URL(string: "http://127.0.0.1:\(port)"))
            var settings = StackStormSettings(auth: url, api: url, stream: url, login: .token(Secret("t")))
            settings.limits.silence = .milliseconds(300)
            // The second connection is answered last.
            settings.limits.answer = .seconds(600)
            let client = try StackStormClient(
                settings, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            let (handled, continuation) = AsyncStream.makeStream(of: String.self)
            let stream = EventStream(client, events: ["*"])
            let following = Task {
                await stream.run(connected: { _ in }) { continuation.yield(String(decoding: $0.data, as: UTF8.self)) }
            }
            defer { following.cancel() }
            var events = handled.makeAsyncIterator()
            // The first connection was silent for too long, so another one is opened.
            await server.reached(requests: 2)
            for data in ["a", "b", "a"] {
                try await server.say(Self.event(data), on: 1)
                #expect(await events.next() == data)
            }
            // Both connections are open now and receive the same events.
            try await server.say(Self.head + ["a", "b", "a", "c", "a"].map(Self.event).joined(), on: 2)
            #expect(await events.next() == "c")
            #expect(await events.next() == "a")
            #expect(stream.currentHealth.renewals == 1)
        }
    }
}
