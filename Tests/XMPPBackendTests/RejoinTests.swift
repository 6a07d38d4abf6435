import PetrelKit
import Testing

@testable import XMPPBackend

/// Rooms that do not respond, remove the bot, or forget it.
@Suite(.timeLimit(.minutes(30))) struct RejoinTests {
    private static let room = "ops@conference.localhost"

    private static func presence(_ type: String = "", statuses: String...) -> String {
        let codes = statuses.map { "<status code='\($0)'/>" }.joined()
        return "<presence from='\(room)/petrel'\(type)><x xmlns='\(XMPPNames.mucUser)'>\(codes)</x></presence>"
    }

    private static func serve(
        _ scripts: [ScriptedServer.Script],
        change: @Sendable @escaping (inout XMPPSettings) -> Void = { _ in }
    ) async throws {
        try await ScriptedServer.serve(scripts) { settings in
            settings.rooms = [XMPPSettings.RoomSettings(jid: try #require(JID(room)), password: nil)]
            change(&settings)
        }
    }

    @Test func `the bot retries to join a room that does not respond`() async throws {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login()
            for _ in 0..<2 { try await conversation.hear("to='\(Self.room)/petrel'") }
        }
        try await Self.serve([script]) { $0.joining = .milliseconds(200) }
    }

    @Test func `the bot rejoins on the resumed stream if it was kicked before the connection was lost`() async throws {
        let first: ScriptedServer.Script = { conversation in
            try await conversation.login(ScriptedServer.manages)
            try await conversation.hear("to='\(Self.room)/petrel'")
            try await conversation.say(Self.presence(statuses: "110"))
            try await conversation.say(Self.presence(" type='unavailable'", statuses: "110", "307"))
            // The bot has processed both presences.
            try await conversation.say("<r xmlns='\(XMPPNames.management)'/>")
            try await conversation.hear("h='2'/>")
        }
        let second: ScriptedServer.Script = { conversation in
            try await conversation.authenticate(ScriptedServer.manages)
            try await conversation.hear("<resume ")
            try await conversation.say("<resumed xmlns='\(XMPPNames.management)' previd='s1' h='3'/>")
            try await conversation.hear("to='\(Self.room)/petrel'")
        }
        // Longer than the time limit of the test.
        try await Self.serve([first, second]) { $0.rejoining = .seconds(3_600) }
    }

    @Test(arguments: ["not-acceptable", "item-not-found"])
    func `the bot notices that a room has forgotten it`(_ condition: String) async throws {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login()
            try await conversation.hear("to='\(Self.room)/petrel'")
            try await conversation.say(Self.presence(statuses: "110"))
            let asked = try await conversation.hear("to='\(Self.room)/petrel' type='get'")
            let id = try #require(asked.matches(of: #/<iq id='([^']+)' to='ops/#).last?.1)
            try await conversation.say(
                "<iq type='error' id='\(id)' from='\(Self.room)/petrel'><error type='cancel'>"
                    + "<\(condition) xmlns='\(XMPPNames.stanzaErrors)'/></error></iq>")
            try await conversation.hear("<presence to='\(Self.room)/petrel'>")
        }
        try await Self.serve([script]) {
            $0.verifying = .milliseconds(100)
            $0.rejoining = .milliseconds(10)
        }
    }

    @Test func `a message that a room returns is sent again after the bot has rejoined`() async throws {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login()
            try await conversation.hear("to='\(Self.room)/petrel'")
            try await conversation.say(Self.presence(statuses: "110"))
            try await conversation.say(
                "<message type='groupchat' from='\(Self.room)/alice'><body>!say one</body></message>")
            let said = try await conversation.hear("<body>one</body>")
            let id = try #require(said.matches(of: #/<message id='([^']+)'/#).last?.1)
            try await conversation.say(
                "<message type='error' id='\(id)' from='\(Self.room)'><error type='cancel'>"
                    + "<item-not-found xmlns='\(XMPPNames.stanzaErrors)'/></error></message>")
            try await conversation.hear("<presence to='\(Self.room)/petrel'>")
            try await conversation.say(Self.presence(statuses: "110"))
            try await conversation.hear("<body>one</body>")
        }
        try await Self.serve([script]) { $0.rejoining = .milliseconds(10) }
    }

    @Test func `the bot takes the configured nick when it is available, and answers to it before`() async throws {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login()
            try await conversation.hear("<presence to='\(Self.room)/petrel'>")
            try await conversation.say(
                "<presence type='error' from='\(Self.room)/petrel'><error type='cancel'>"
                    + "<conflict xmlns='\(XMPPNames.stanzaErrors)'/></error></presence>")
            try await conversation.hear("<presence to='\(Self.room)/petrel_'>")
            let x = "<x xmlns='\(XMPPNames.mucUser)'>"
            try await conversation.say("<presence from='\(Self.room)/petrel'>\(x)</x></presence>")
            try await conversation.say(
                "<presence from='\(Self.room)/petrel_'>\(x)<status code='110'/></x></presence>")
            try await conversation.say(
                "<message type='groupchat' from='\(Self.room)/alice'><body>petrel: say one</body></message>")
            try await conversation.hear("<body>one</body>")
            try await conversation.say("<presence type='unavailable' from='\(Self.room)/petrel'>\(x)</x></presence>")
            try await conversation.hear("<presence to='\(Self.room)/petrel'/>")
        }
        try await Self.serve([script])
    }
}
