import Foundation
import PetrelKit
import PetrelTesting
import Testing

@testable import XMPPBackend

/// What is on its way when a connection breaks off (XEP-0198), and what others do with messages.
@Suite(.timeLimit(.minutes(10))) struct ResumptionTests {
    private static let manages = "<sm xmlns='\(XMPPNames.management)'/>"

    private static func message(_ text: String, from sender: String = "alice@localhost/a", _ more: String = "")
        -> String
    {
        "<message type='chat' from='\(sender)' id='m1'><body>\(text)</body>\(more)</message>"
    }

    private static func delayed(by keeper: String) -> String {
        "<delay xmlns='\(XMPPNames.delay)' from='\(keeper)' stamp='2026-01-01T00:00:00Z'/>"
    }

    @Test func `a stream goes on where it broke off, and what was on its way comes once`() async throws {
        let first: ScriptedServer.Script = { conversation in
            try await conversation.login(Self.manages)
            try await conversation.say(Self.message("!say one"))
            // It breaks off before the server has said that it has the answer.
            try await conversation.hear("<body>one</body>")
            try await conversation.hear("<r xmlns='\(XMPPNames.management)'/>")
        }
        let second: ScriptedServer.Script = { conversation in
            try await conversation.authenticate(Self.manages)
            try await conversation.hear("h='1' previd='s1'/>")
            // The server has the presence, and not the answer.
            try await conversation.say("<resumed xmlns='\(XMPPNames.management)' previd='s1' h='1'/>")
            let again = try await conversation.hear("<r xmlns='\(XMPPNames.management)'/>")
            #expect(again.contains("<body>one</body>"))
            // With the question which services there are.
            let count = again.matches(of: #/<(?:iq|message) /#).count
            try await conversation.say("<a xmlns='\(XMPPNames.management)' h='\(1 + count)'/>")
            // What was said meanwhile comes with the time when it was said: it runs.
            try await conversation.say(Self.message("!say two", Self.delayed(by: "localhost")))
            let two = try await conversation.hear("<r xmlns='\(XMPPNames.management)'/>")
            #expect(two.contains("<body>two</body>"))
            try await conversation.say("<a xmlns='\(XMPPNames.management)' h='\(2 + count)'/>")
            // The past of a room does not.
            try await conversation.say(Self.message("!say old", Self.delayed(by: "ops@conference.localhost")))
            try await conversation.say(Self.message("!say three"))
            let said = try await conversation.hear("<body>three</body>")
            #expect(!said.contains("old</body>") && !said.contains("one</body>"))
        }
        try await Self.serve([first, second])
    }

    @Test func `what a room shows only after the connection broke off is not said twice`() async throws {
        let room = "ops@conference.localhost"
        let isSaid = Locked("")
        let first: ScriptedServer.Script = { conversation in
            try await conversation.login(Self.manages)
            try await conversation.hear("to='\(room)/petrel'")
            try await conversation.say(
                "<presence from='\(room)/petrel'><x xmlns='\(XMPPNames.mucUser)'><status code='110'/></x></presence>")
            try await conversation.say("<message type='groupchat' from='\(room)/alice'><body>!say one</body></message>")
            let said = try await conversation.hear("<body>one</body>")
            let id = try #require(said.matches(of: #/<message id='([^']+)'/#).last?.1)
            isSaid.withLock { $0 = String(id) }
            // The server has everything; the room has not shown it.
            try await conversation.say("<a xmlns='\(XMPPNames.management)' h='4'/>")
            try await conversation.say("<a xmlns='\(XMPPNames.management)' h='3'/>")
        }
        let second: ScriptedServer.Script = { conversation in
            try await conversation.authenticate(Self.manages)
            try await conversation.hear("<resume ")
            try await conversation.say("<resumed xmlns='\(XMPPNames.management)' previd='s1' h='4'/>")
            try await conversation.say(
                "<message type='groupchat' id='\(isSaid.value)' from='\(room)/petrel'><body>one</body></message>")
            try await conversation.say("<message type='groupchat' from='\(room)/alice'><body>!say two</body></message>")
            let said = try await conversation.hear("<body>two</body>")
            #expect(!said.contains("<body>one</body>"))
        }
        try await Self.serve([first, second]) { settings in
            settings.patience = .milliseconds(500)
            settings.rooms = [XMPPSettings.RoomSettings(jid: try #require(JID(room)), password: nil)]
        }
    }

    @Test func `where the server has forgotten the stream, what nobody acknowledged is sent anew`() async throws {
        let first: ScriptedServer.Script = { conversation in
            try await conversation.login(Self.manages)
            try await conversation.say(Self.message("!say one"))
            try await conversation.hear("<body>one</body>")
        }
        let second: ScriptedServer.Script = { conversation in
            try await conversation.authenticate(Self.manages)
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
            // On a new stream that is an old message, and who wrote it is told.
            try await conversation.say(Self.message("!say old", Self.delayed(by: "localhost")))
            try await conversation.hear("was not run")
        }
        try await Self.serve([first, second])
    }

    @Test func `corrections, copies and errors run nothing, receipts are given, and every question is answered`()
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
            try await conversation.say("<presence type='subscribe' from='eve@localhost'/>")
            try await conversation.say("<iq type='set' id='q1' from='eve@localhost'><query xmlns='x:y'/></iq>")
            try await conversation.say("<iq type='result' id='nobody-asked' from='eve@localhost'/>")
            try await conversation.say(
                "<iq type='get' id='q2' from='eve@localhost'><query xmlns='\(XMPPNames.version)'/></iq>"
                    + "<iq type='get' id='q3' from='eve@localhost'><query xmlns='\(XMPPNames.info)'/></iq>")
            try await conversation.say(Self.message("!say f", "<request xmlns='\(XMPPNames.receipts)'/>"))
            let said = try await conversation.hear("<body>f</body>")
            for word in ["a", "b", "c", "d", "e"] { #expect(!said.contains("<body>\(word)</body>")) }
            #expect(said.contains("<presence to='eve@localhost' type='unsubscribed'/>"))
            #expect(said.contains("<service-unavailable"))
            #expect(said.contains("<version>1.2.3</version>"))
            #expect(said.contains("var='\(XMPPNames.receipts)'"))
            #expect(said.contains("<received xmlns='\(XMPPNames.receipts)' id='m1'/>"))
        }
        try await Self.serve([script])
    }

    @Test func `what comes again with the same origin runs once, and what does not runs again`() async throws {
        let script: ScriptedServer.Script = { conversation in
            try await conversation.login()
            let origin = "<origin-id xmlns='\(XMPPNames.ids)' id='o1'/>"
            for _ in 0..<3 { try await conversation.say(Self.message("!say a", origin)) }
            for _ in 0..<2 { try await conversation.say(Self.message("!say b")) }
            // Another person may use the same one.
            try await conversation.say(Self.message("!say c", from: "bob@localhost/x", origin))
            let said = try await conversation.hear("<body>c</body>")
            func count(_ text: String) -> Int { said.components(separatedBy: "<body>\(text)</body>").count - 1 }
            #expect(count("a") <= 1 && count("b") <= 2)
            let rest = try await Self.rest(of: said, in: &conversation)
            #expect(rest == ["a", "b", "b"])
        }
        try await Self.serve([script])
    }

    /// What alice is told in all, once it is three.
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

    /// Runs a bot with them, until the last of them has ended.
    private static func serve(
        _ scripts: [ScriptedServer.Script],
        change: @Sendable @escaping (inout XMPPSettings) throws -> Void = { _ in }
    ) async throws {
        let isOver = Signal()
        let final = scripts[scripts.count - 1]
        let last: ScriptedServer.Script = { conversation in
            defer { isOver.open() }
            try await final(&conversation)
        }
        try await ScriptedServer.run(scripts.dropLast() + [last]) { server in
            try await TestHost([try server.backend(change)]).run([Say()]) { await isOver.wait() }
        }
    }
}
