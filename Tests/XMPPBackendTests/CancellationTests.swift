import FaultSuite
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing
import XMLStream

@testable import XMPPBackend

/// Cancellation while requests are pending.
@Suite(.timeLimit(.minutes(30))) struct CancellationTests {
    private static func outcome() throws -> Negotiation.Outcome {
        Negotiation.Outcome(jid: try #require(JID("petrel@localhost/r1")), isResumed: false, mostBytes: nil)
    }

    private static func settings(rooms: [String] = []) throws -> XMPPSettings {
        var settings = XMPPSettings(
            jid: try #require(JID("petrel@localhost")), password: Secret("secret"), nick: "petrel")
        // Longer than the time limit of a test.
        settings.patience = .seconds(3_600)
        settings.rooms = try rooms.map { XMPPSettings.RoomSettings(jid: try #require(JID($0)), password: nil) }
        return settings
    }

    /// Cancels a task and returns the time until it ended. Fails unless it throws `CancellationError`.
    private static func stop(_ task: Task<Void, any Error>) async -> Duration {
        let start = ContinuousClock.now
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        return start.duration(to: .now)
    }

    @Test func `a task that was cancelled before sends no request`() async throws {
        let link = XMPPLink()
        var texts = link.connect().makeAsyncIterator()
        link.open(try Self.outcome())
        let asking = Task {
            // Returns on cancellation.
            await Signal().wait()
            _ = try await link.ask(nil, "get", XMLElement("ping", XMPPNames.ping))
        }
        #expect(await Self.stop(asking) < .seconds(120))
        link.end(saying: "end")
        #expect(await texts.next(isolation: #isolation) == "end")
    }

    @Test func `cancelling a verification of rooms stops it at the current room`() async throws {
        let names = (1...3).map { "r\($0)@conference.localhost" }
        let settings = try Self.settings(rooms: names)
        let link = XMPPLink()
        var texts = link.connect().makeAsyncIterator()
        link.open(try Self.outcome())
        // The requests about the features of the rooms come at any time.
        func next() async -> String? {
            while let text = await texts.next(isolation: #isolation) {
                if !text.contains(XMPPNames.info) { return text }
            }
            return nil
        }
        let rooms = XMPPRooms(settings, link, Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        rooms.joinAll()
        for name in names {
            #expect(await next()?.contains("to='\(name)/petrel'") == true)
            let own = XMLElement("x", XMPPNames.mucUser, [:], [XMLElement("status", "", ["code": "110"])])
            rooms.take(XMLElement("presence", "", [:], [own]), from: try #require(JID("\(name)/petrel")))
        }
        let checking = Task { try await rooms.verify() }
        #expect(await next()?.contains(XMPPNames.ping) == true)
        #expect(await Self.stop(checking) < .seconds(120))
        link.end(saying: "end")
        #expect(await next() == "end")
    }

    @Test func `a backend stops during a verification that the server does not answer`() async throws {
        let room = "ops@conference.localhost"
        let isAsked = Signal()
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login()
            try await conversation.hear("to='\(room)/petrel'")
            try await conversation.say(
                "<presence from='\(room)/petrel'><x xmlns='\(XMPPNames.mucUser)'><status code='110'/></x></presence>")
            try await conversation.hear(XMPPNames.ping)
            isAsked.open()
            #expect(try await conversation.end().contains("</stream:stream>"))
        }
        try await ScriptedServer.run([script]) { server in
            let backend = try server.backend { settings in
                settings.patience = .seconds(3_600)
                settings.verifying = .milliseconds(10)
                settings.rooms = [XMPPSettings.RoomSettings(jid: try #require(JID(room)), password: nil)]
            }
            let running = Task { try await backend.run { _ in } }
            await isAsked.wait()
            #expect(await Self.stop(running) < .seconds(120))
        }
    }

    @Test func `a private message whose delivery is unknown at shutdown is kept for the next run`() async throws {
        let isAsked = Signal()
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login()
            try await conversation.say(
                "<message type='chat' from='alice@localhost/a' id='m1'><body>!say hello</body></message>")
            try await conversation.hear("<body>hello</body>")
            // The request after the message, which remains unanswered.
            try await conversation.hear("to='alice@localhost' type='get'")
            isAsked.open()
            _ = try await conversation.end()
        }
        try await ScriptedServer.run([script]) { server in
            let backend = try server.backend { $0.patience = .seconds(3_600) }
            let store = try TestStore()
            let start = ContinuousClock.now
            try await TestHost.unhurried(backend, store: store).run([Say()]) { await isAsked.wait() }
            #expect(start.duration(to: .now) < .seconds(120))
            let next = RecordingBackend(name: "xmpp")
            try await TestHost.unhurried(next, store: store).run([Say()]) {
                #expect(await next.next()?.reply.text == "hello")
            }
        }
    }

    @Test func `cancelling the discovery of an upload service stops it at the current service`() async throws {
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
