import FaultSuite
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormSimulator
import Testing

@testable import XMPPBackend

/// Identities of occupants, in rooms and in private messages through rooms.
@Suite(.timeLimit(.minutes(30))) struct IdentityTests {
    private static let room = "ops@conference.localhost"

    private static func presence(_ nick: String, _ type: String = "", account: String = "", _ more: String = "")
        -> String
    {
        let item = account.isEmpty ? "<item/>" : "<item jid='\(account)'/>"
        return "<presence from='\(room)/\(nick)'\(type)><x xmlns='\(XMPPNames.mucUser)'>\(item)\(more)</x></presence>"
    }

    private static func message(_ text: String, from nick: String, type: String = "groupchat") -> String {
        let mark = type == "chat" ? "<x xmlns='\(XMPPNames.mucUser)'/>" : ""
        return "<message type='\(type)' from='\(room)/\(nick)'><body>\(text)</body>\(mark)</message>"
    }

    private static func enter(_ conversation: inout ScriptedServer.Conversation) async throws {
        try await conversation.login()
        try await conversation.hear("to='\(room)/petrel'")
        try await conversation.say(presence("petrel", "", account: "", "<status code='110'/>"))
    }

    /// Receives the bot's messages to the room up to this text, and reflects them as a room does.
    private static func hear(_ text: String, in conversation: inout ScriptedServer.Conversation) async throws {
        while true {
            let said = try await conversation.hear("</message>")
            guard
                let id = said.matches(of: #/<message id='([^']+)' to='ops@conference\.localhost' type='groupchat'>/#)
                    .last?.1
            else { continue }
            try await conversation.say(
                "<message type='groupchat' id='\(id)' from='\(room)/petrel'><body>shown</body></message>")
            if said.contains(text) { return }
        }
    }

    private static func rooms(_ settings: inout XMPPSettings) throws {
        settings.rooms = [XMPPSettings.RoomSettings(jid: try #require(JID(room)), password: nil)]
    }

    @Test func `an occupant with the nick of one who left owns none of that occupant's executions`() async throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        try await SimulatedHouse.run { fixture in
            let (isReady, isOver) = (Signal(), Signal())
            let script: ScriptedServer.Script = { conversation in
                defer { isOver.open() }
                try await Self.enter(&conversation)
                await isReady.wait()
                try await conversation.say(Self.presence("nick1"))
                try await conversation.say(Self.message("!st2 restart nginx on web1", from: "nick1"))
                try await Self.hear("nginx restarted on 1 host.", in: &conversation)
                let id = try #require(await fixture.stackStorm.lastExecution(of: "fleet.restart")?["id"]?.string)
                // The occupant owns it during the visit.
                try await conversation.say(Self.message("!st2 status \(id)", from: "nick1"))
                try await Self.hear("succeeded", in: &conversation)
                try await conversation.say(Self.presence("nick1", " type='unavailable'"))
                try await conversation.say(Self.presence("nick1"))
                for verb in ["status", "output", "rerun"] {
                    try await conversation.say(Self.message("!st2 \(verb) \(id)", from: "nick1"))
                    try await Self.hear("Only the user who started this execution", in: &conversation)
                }
            }
            try await ScriptedServer.run([script]) { server in
                try await TestHost([try server.backend(Self.rooms)], logger: logger).run({ [try fixture.module($0)] }) {
                    await fixture.stackStorm.untilHeard()
                    isReady.open()
                    await isOver.wait()
                }
            }
        }
    }

    @Test func `a private message through a room that shows accounts belongs to the account, which gets the answer`()
        async throws
    {
        let script: ScriptedServer.Script = { conversation in
            try await Self.enter(&conversation)
            try await conversation.say(Self.presence("nick1", account: "alice@localhost/phone"))
            try await conversation.say(Self.message("!who", from: "nick1", type: "chat"))
            let said = try await conversation.hear("<body>alice@localhost true -</body>")
            #expect(said.contains("to='alice@localhost' type='chat'"))
        }
        try await ScriptedServer.serve([script], change: Self.rooms)
    }

    @Test func `an occupant whom the room does not show has a new identity in each message`() async throws {
        let ids = Locked<Set<String>>([])
        let script: ScriptedServer.Script = { conversation in
            try await Self.enter(&conversation)
            for _ in 0..<2 { try await conversation.say(Self.message("!say x", from: "nick1")) }
            try await conversation.say("</stream:stream>")
        }
        try await ScriptedServer.run([script]) { server in
            await #expect(throws: BackendFailure.self) {
                try await server.backend(Self.rooms).run { message in
                    #expect(message.sender.name == "\(Self.room)/nick1" && !message.sender.isStable)
                    ids.withLock { _ = $0.insert(message.sender.id) }
                }
            }
            #expect(ids.value.count == 2)
        }
    }
}
