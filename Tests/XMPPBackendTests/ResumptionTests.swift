import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import XMPPBackend

/// Resumption of streams (XEP-0198), and the handling of special messages.
@Suite(.timeLimit(.minutes(30))) struct ResumptionTests {
    private static func message(_ text: String, from sender: String = "alice@localhost/a", _ more: String = "")
        -> String
    {
        "<message type='chat' from='\(sender)' id='m1'><body>\(text)</body>\(more)</message>"
    }

    private static func delayed(by keeper: String) -> String {
        "<delay xmlns='\(XMPPNames.delay)' from='\(keeper)' stamp='2026-01-01T00:00:00Z'/>"
    }

    @Test func `a stream is resumed, and messages in flight arrive once`() async throws {
        let first: ScriptedServer.Script = { conversation in
            try await conversation.login(ScriptedServer.manages)
            try await conversation.say(Self.message("!say one"))
            // The connection ends before the server acknowledges the answer.
            try await conversation.hear("<body>one</body>")
            try await conversation.hear("<r xmlns='\(XMPPNames.management)'/>")
        }
        let second: ScriptedServer.Script = { conversation in
            try await conversation.authenticate(ScriptedServer.manages)
            try await conversation.hear("h='1' previd='s1'/>")
            // The server received the presence, but not the answer.
            try await conversation.say("<resumed xmlns='\(XMPPNames.management)' previd='s1' h='1'/>")
            let again = try await conversation.hear("<r xmlns='\(XMPPNames.management)'/>")
            #expect(again.contains("<body>one</body>"))
            // Including the service discovery request.
            let count = again.matches(of: #/<(?:iq|message) /#).count
            try await conversation.say("<a xmlns='\(XMPPNames.management)' h='\(1 + count)'/>")
            try await conversation.answerRequest(to: "alice@localhost")
            // Messages from the time of the interruption are delayed and run.
            try await conversation.say(Self.message("!say two", Self.delayed(by: "localhost")))
            try await conversation.hear("<body>two</body>")
            try await conversation.say("<a xmlns='\(XMPPNames.management)' h='\(3 + count)'/>")
            try await conversation.answerRequest(to: "alice@localhost")
            // Room history does not run.
            try await conversation.say(Self.message("!say old", Self.delayed(by: "ops@conference.localhost")))
            try await conversation.say(Self.message("!say three"))
            let said = try await conversation.hear("<body>three</body>")
            #expect(!said.contains("old</body>") && !said.contains("one</body>"))
        }
        try await ScriptedServer.serve([first, second])
    }

    @Test func `a message that a room reflects after a resumption is not sent twice`() async throws {
        let room = "ops@conference.localhost"
        let isSaid = Locked("")
        let first: ScriptedServer.Script = { conversation in
            try await conversation.login(ScriptedServer.manages)
            try await conversation.hear("to='\(room)/petrel'")
            try await conversation.say(
                "<presence from='\(room)/petrel'><x xmlns='\(XMPPNames.mucUser)'><status code='110'/></x></presence>")
            try await conversation.answerRequest(to: room)
            try await conversation.say("<message type='groupchat' from='\(room)/alice'><body>!say one</body></message>")
            let said = try await conversation.hear("<body>one</body>")
            let id = try #require(said.matches(of: #/<message id='([^']+)'/#).last?.1)
            isSaid.withLock { $0 = String(id) }
            // The server received everything; the room has not reflected the message.
            try await conversation.say("<a xmlns='\(XMPPNames.management)' h='5'/>")
            try await conversation.say("<a xmlns='\(XMPPNames.management)' h='4'/>")
        }
        let second: ScriptedServer.Script = { conversation in
            try await conversation.authenticate(ScriptedServer.manages)
            try await conversation.hear("<resume ")
            try await conversation.say("<resumed xmlns='\(XMPPNames.management)' previd='s1' h='5'/>")
            try await conversation.say(
                "<message type='groupchat' id='\(isSaid.value)' from='\(room)/petrel'><body>one</body></message>")
            try await conversation.say("<message type='groupchat' from='\(room)/alice'><body>!say two</body></message>")
            let said = try await conversation.hear("<body>two</body>")
            #expect(!said.contains("<body>one</body>"))
        }
        try await ScriptedServer.serve([first, second]) { settings in
            settings.patience = .seconds(20)
            settings.rooms = [XMPPSettings.RoomSettings(jid: try #require(JID(room)), password: nil)]
        }
    }

    @Test func `unacknowledged messages are sent again if the stream cannot be resumed`() async throws {
        let first: ScriptedServer.Script = { conversation in
            try await conversation.login(ScriptedServer.manages)
            try await conversation.say(Self.message("!say one"))
            try await conversation.hear("<body>one</body>")
        }
        let second: ScriptedServer.Script = { conversation in
            try await conversation.authenticate(ScriptedServer.manages)
            try await conversation.hear("h='1' previd='s1'/>")
            try await conversation.say(
                "<failed xmlns='\(XMPPNames.management)'><item-not-found xmlns='\(XMPPNames.stanzaErrors)'/></failed>")
            try await conversation.hear("<bind")
            try await conversation.say(
                "<iq type='result' id='bind'><bind xmlns='\(XMPPNames.bind)'><jid>petrel@localhost/r2</jid></bind></iq>"
            )
            try await conversation.hear("<enable")
            try await conversation.say("<enabled xmlns='\(XMPPNames.management)' id='s2' resume='true'/>")
            try await conversation.hear("<body>one</body>")
            // On a new stream this is an old message, and the sender is notified.
            try await conversation.say(Self.message("!say old", Self.delayed(by: "localhost")))
            try await conversation.hear("was not run")
        }
        try await ScriptedServer.serve([first, second])
    }

    @Test func `corrections, carbons and errors do not run, receipts are sent, and every request is answered`()
        async throws
    {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login()
            let replace = "<replace xmlns='\(XMPPNames.correction)' id='m0'/>"
            let copy = "<sent xmlns='\(XMPPNames.carbons)'/>"
            try await conversation.say(Self.message("!say a", replace) + Self.message("!say b", copy))
            try await conversation.say(Self.message("!say c").replacing("type='chat'", with: "type='error'"))
            try await conversation.say(Self.message("!say d").replacing("type='chat'", with: "type='headline'"))
            try await conversation.say(Self.message("!say e", from: "petrel@localhost/other"))
            // A private message through an unknown room does not identify an account.
            try await conversation.say(Self.message("!say g", "<x xmlns='\(XMPPNames.mucUser)'/>"))
            try await conversation.say("<presence type='subscribe' from='eve@localhost'/>")
            try await conversation.say("<iq type='set' id='q1' from='eve@localhost'><query xmlns='x:y'/></iq>")
            try await conversation.say("<iq type='result' id='nobody-asked' from='eve@localhost'/>")
            try await conversation.say(
                "<iq type='get' id='q2' from='eve@localhost'><query xmlns='\(XMPPNames.version)'/></iq>"
                    + "<iq type='get' id='q3' from='eve@localhost'><query xmlns='\(XMPPNames.info)'/></iq>")
            try await conversation.say(Self.message("!say f", "<request xmlns='\(XMPPNames.receipts)'/>"))
            let said = try await conversation.hear("<body>f</body>")
            for word in ["a", "b", "c", "d", "e", "g"] { #expect(!said.contains("<body>\(word)</body>")) }
            #expect(said.contains("<presence to='eve@localhost' type='unsubscribed'/>"))
            #expect(said.contains("<service-unavailable"))
            #expect(said.contains("<version>1.2.3</version>"))
            #expect(said.contains("var='\(XMPPNames.receipts)'"))
            #expect(said.contains("<received xmlns='\(XMPPNames.receipts)' id='m1'/>"))
        }
        try await ScriptedServer.serve([script])
    }

    @Test func `messages with the same origin ID run once, and messages without one run each time`() async throws {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login()
            let origin = "<origin-id xmlns='\(XMPPNames.ids)' id='o1'/>"
            for _ in 0..<3 { try await conversation.say(Self.message("!say a", origin)) }
            for _ in 0..<2 { try await conversation.say(Self.message("!say b")) }
            // Another person may use the same origin ID.
            try await conversation.say(Self.message("!say c", from: "bob@localhost/x", origin))
            let said = try await conversation.hear("<body>c</body>")
            func count(_ text: String) -> Int { said.components(separatedBy: "<body>\(text)</body>").count - 1 }
            #expect(count("a") <= 1 && count("b") <= 2)
            let rest = try await Self.rest(of: said, in: &conversation)
            #expect(rest == ["a", "b", "b"])
        }
        try await ScriptedServer.serve([script], change: ScriptedServer.shortPatience)
    }

    @Test func `messages before stream management is enabled run and are not counted`() async throws {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.authenticate(ScriptedServer.manages)
            try await conversation.hear("</iq>")
            try await conversation.say(ScriptedServer.bound)
            try await conversation.hear("<enable")
            try await conversation.say(Self.message("!say one"))
            try await conversation.say("<enabled xmlns='\(XMPPNames.management)' id='s1' resume='true'/>")
            try await conversation.hear("<body>one</body>")
            try await conversation.say("<r xmlns='\(XMPPNames.management)'/>")
            try await conversation.hear("<a xmlns='\(XMPPNames.management)' h='0'/>")
        }
        try await ScriptedServer.serve([script])
    }

    @Test func `messages in flight are sent again if the server no longer supports stream management`()
        async throws
    {
        let first: ScriptedServer.Script = { conversation in
            try await conversation.login(ScriptedServer.manages)
            try await conversation.say(Self.message("!say one"))
            try await conversation.hear("<body>one</body>")
        }
        let second: ScriptedServer.Script = { conversation in
            try await conversation.login()
            let said = try await conversation.hear("<body>one</body>")
            #expect(!said.contains(XMPPNames.management))
        }
        try await ScriptedServer.serve([first, second])
    }

    @Test func `a message that a remote server returns after it was acknowledged is sent again`() async throws {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login(ScriptedServer.manages)
            try await conversation.say(Self.message("!say one", from: "alice@elsewhere.example/a"))
            let said = try await conversation.hear("<body>one</body>")
            let id = try #require(said.matches(of: #/<message id='([^']+)'/#).last?.1)
            let before = said.matches(of: #/<(?:iq|message|presence)[ /]/#).count
            try await conversation.say("<a xmlns='\(XMPPNames.management)' h='\(before + 1)'/>")
            let asked = try await conversation.hear("to='alice@elsewhere.example' type='get'")
            let question = try #require(asked.matches(of: #/<iq id='([^']+)' to='alice/#).last?.1)
            func back(_ kind: String, _ id: Substring) -> String {
                "<\(kind) type='error' id='\(id)' from='alice@elsewhere.example'><error type='cancel'>"
                    + "<remote-server-not-found xmlns='\(XMPPNames.stanzaErrors)'/></error></\(kind)>"
            }
            try await conversation.say(back("message", id) + back("iq", question))
            try await conversation.hear("<body>one</body>")
        }
        try await ScriptedServer.serve([script])
    }

    @Test func `an action's own text for XMPP is split like any other`() async throws {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login()
            try await conversation.say(Self.message("!own"))
            let said = try await conversation.hear("<subject>about</subject>")
            let texts = said.matches(of: #/<body>([a-z ]+)<\/body>/#).map { String($0.1) }
            #expect(texts.count > 1 && texts.joined().filter { $0 != " " } == Say.own.filter { $0 != " " })
        }
        try await ScriptedServer.serve([script], change: ScriptedServer.shortPatience)
    }

    /// Returns all texts sent to alice, once there are three.
    private static func rest(
        of said: String, in conversation: inout ScriptedServer.Conversation
    ) async throws -> [String] {
        var whole = said
        while true {
            let words = whole.matches(of: /<body>([ab])<\/body>/).map { String($0.1) }
            if words.count >= 3 { return words }
            whole += try await conversation.hear("</message>")
        }
    }

    @Test(arguments: [
        "<x xmlns='jabber:x:delay' from='localhost' stamp='20260101T00:00:00'/>",
        "<x xmlns='jabber:x:delay' stamp='20260101T00:00:00'/>",
    ]) func `messages with a legacy delay stamp are old messages too`(_ stamp: String) async throws {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login()
            try await conversation.say(Self.message("!say old", stamp))
            try await conversation.hear("was not run")
            try await conversation.say(Self.message("!say new"))
            #expect(try await !conversation.hear("<body>new</body>").contains("<body>old</body>"))
        }
        try await ScriptedServer.serve([script])
    }
}
