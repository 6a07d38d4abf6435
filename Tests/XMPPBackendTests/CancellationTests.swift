import Logging
import PetrelKit
import PetrelSupport
import Testing

@testable import XMPPBackend

/// A stop, or a lost connection, in the middle of what waits for answers.
@Suite(.timeLimit(.minutes(10))) struct CancellationTests {
    private static func outcome() throws -> Negotiation.Outcome {
        Negotiation.Outcome(jid: try #require(JID("petrel@localhost/r1")), isResumed: false, mostBytes: nil)
    }

    private static func settings(rooms: [String] = []) throws -> XMPPSettings {
        var settings = XMPPSettings(
            jid: try #require(JID("petrel@localhost")), password: Secret("secret"), nick: "petrel")
        // Longer than a test may take.
        settings.patience = .seconds(3_600)
        settings.rooms = try rooms.map { XMPPSettings.RoomSettings(jid: try #require(JID($0)), password: nil) }
        return settings
    }

    /// Cancels it, and returns how long it went on. Fails where it does not end by that.
    private static func stop(_ task: Task<Void, any Error>) async -> Duration {
        let start = ContinuousClock.now
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        return start.duration(to: .now)
    }

    @Test func `who was cancelled before asks nothing`() async throws {
        let link = XMPPLink()
        var texts = link.connect().makeAsyncIterator()
        link.open(try Self.outcome())
        let asking = Task {
            // Returns when it is cancelled.
            await Signal().wait()
            _ = try await link.ask(nil, "get", XMLElement("ping", XMPPNames.ping))
        }
        #expect(await Self.stop(asking) < .seconds(120))
        link.end(saying: "end")
        #expect(await texts.next(isolation: #isolation) == "end")
    }

    @Test func `a check of rooms ends with the room that it has come to`() async throws {
        let names = (1...3).map { "r\($0)@conference.localhost" }
        let settings = try Self.settings(rooms: names)
        let link = XMPPLink()
        var texts = link.connect().makeAsyncIterator()
        link.open(try Self.outcome())
        let rooms = XMPPRooms(settings, link, Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        rooms.joinAll()
        for name in names {
            #expect(await texts.next(isolation: #isolation)?.contains("to='\(name)/petrel'") == true)
            let own = XMLElement("x", XMPPNames.mucUser, [:], [XMLElement("status", "", ["code": "110"])])
            rooms.take(XMLElement("presence", "", [:], [own]), from: try #require(JID("\(name)/petrel")))
        }
        let checking = Task { try await rooms.verify() }
        #expect(await texts.next(isolation: #isolation)?.contains(XMPPNames.ping) == true)
        #expect(await Self.stop(checking) < .seconds(120))
        link.end(saying: "end")
        #expect(await texts.next(isolation: #isolation) == "end")
    }

    @Test func `a search for files ends with the service that it has come to`() async throws {
        let link = XMPPLink()
        var texts = link.connect().makeAsyncIterator()
        link.open(try Self.outcome())
        let upload = XMPPUpload(try Self.settings(), link, on: EventLoopExecutor())
        let looking = Task { try await upload.discover(at: "localhost") }
        let question = try #require(await texts.next(isolation: #isolation))
        let id = try #require(question.firstMatch(of: #/<iq id='([^']+)'/#)?.1)
        let items = ["a.localhost", "b.localhost"].map { XMLElement("item", "", ["jid": $0]) }
        link.answer(
            XMLElement(
                "iq", "", ["type": "result", "id": String(id), "from": "localhost"],
                [XMLElement("query", XMPPNames.items, [:], items)]))
        #expect(await texts.next(isolation: #isolation)?.contains(XMPPNames.info) == true)
        #expect(await Self.stop(looking) < .seconds(120))
        link.end(saying: "end")
        #expect(await texts.next(isolation: #isolation) == "end")
        #expect(upload.service == nil)
    }
}
