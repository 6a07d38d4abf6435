import PetrelKit
import Testing

@testable import XMPPBackend

/// Rooms that do not answer, put the bot out, or forget it.
@Suite(.timeLimit(.minutes(10))) struct RejoinTests {
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

    @Test func `a room that does not answer is asked again`() async throws {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login()
            for _ in 0..<2 { try await conversation.hear("to='\(Self.room)/petrel'") }
        }
        try await Self.serve([script]) { $0.joining = .milliseconds(200) }
    }

    @Test func `who is put out while the connection breaks off comes in again on the stream that goes on`() async throws
    {
        let first: ScriptedServer.Script = { conversation in
            try await conversation.login(ScriptedServer.manages)
            try await conversation.hear("to='\(Self.room)/petrel'")
            try await conversation.say(Self.presence(statuses: "110"))
            try await conversation.say(Self.presence(" type='unavailable'", statuses: "110", "307"))
            // It has taken both.
            try await conversation.say("<r xmlns='\(XMPPNames.management)'/>")
            try await conversation.hear("h='2'/>")
        }
        let second: ScriptedServer.Script = { conversation in
            try await conversation.authenticate(ScriptedServer.manages)
            try await conversation.hear("<resume ")
            try await conversation.say("<resumed xmlns='\(XMPPNames.management)' previd='s1' h='3'/>")
            try await conversation.hear("to='\(Self.room)/petrel'")
        }
        // Far behind the end of the test.
        try await Self.serve([first, second]) { $0.rejoining = .seconds(3_600) }
    }

    @Test(arguments: ["not-acceptable", "item-not-found"])
    func `a room that has forgotten the bot is noticed`(_ condition: String) async throws {
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

    @Test func `a message that a room does not know what to do with waits until the bot is in again`() async throws {
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

    @Test func `a nick that becomes free is taken, and the bot answers to it before`() async throws {
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
