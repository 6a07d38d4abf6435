import FaultSuite
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import XMPPBackend

/// Rooms and people on real servers.
@Suite(.timeLimit(.minutes(30))) struct RealRoomTests {
    @Test(arguments: XMPPServer.Kind.tested)
    func `in a room that hides accounts, people are identified as occupants, also in private messages`(
        _ kind: XMPPServer.Kind
    )
        async throws
    {
        try await XMPPServer.run(kind) { server in
            let alice = try await server.person("alice")
            try alice.order("hide")
            _ = try await alice.told("configured")
            let backend = server.backend(try server.settings())
            try await TestHost.unhurried(backend).run([Say()]) {
                try await alice.saw("petrel")
                try alice.say("!who")
                let room = try await alice.heard("@")
                let occupant = try #require(JID("ops@conference.localhost/alice"))
                let visit = try #require(backend.visit(of: "alice", in: occupant))
                let id = XMPPOccupantID.text(in: occupant, visit)
                #expect(room["text"]?.string == "\(id) false ops@conference.localhost" && room["kind"] == "groupchat")
                // A private answer goes to the person who asked, and not to a later occupant with the same nick.
                let asked = XMPPMessageID(occupant, visit: backend.visit(of: "alice", in: occupant))
                #expect(asked.visit != nil)
                var answer = Reply("for you")
                answer.isPrivate = true
                var place = Address(
                    backend: "xmpp", place: .room("ops@conference.localhost"), inReplyTo: asked.text)
                _ = try await backend.send(answer, to: place)
                #expect(try await alice.heard("for you")["kind"] == "chat")
                place.inReplyTo = XMPPMessageID(asked.sender, visit: -1).text
                let late = place
                // As a whisper, and as an answer to a private message.
                let alone = Address(backend: "xmpp", place: .direct(occupant.description), inReplyTo: place.inReplyTo)
                let unknown = Address(backend: "xmpp", place: .direct(occupant.description))
                for address in [late, alone, unknown] {
                    let whisper = answer
                    let failure = await #expect(throws: SendFailure.self) {
                        try await backend.send(whisper, to: address)
                    }
                    #expect(failure?.remedy == .never)
                }
                try alice.say("!who", to: "ops@conference.localhost/petrel")
                let asker = try await alice.heard("@")
                #expect(asker["text"]?.string == "\(id) false -" && asker["kind"] == "chat")
                #expect(asker["from"] == "ops@conference.localhost/petrel")
                try alice.say("!who", to: "petrel@localhost")
                #expect(try await alice.heard("@")["text"] == "alice@localhost true -")
            }
        }
    }

    @Test(arguments: XMPPServer.Kind.tested)
    func `the service tells which rooms are private, also when that changes`(_ kind: XMPPServer.Kind) async throws {
        try await XMPPServer.run(kind) { server in
            let alice = try await server.person("alice")
            let host = try TestHost.unhurried(server.backend(try server.settings()))
            try await host.run([Say()]) {
                try await alice.saw("petrel")
                // The room has a changed configuration before the client sends its next message.
                func configure(_ fields: [String: JSONValue]) async throws {
                    try alice.order("configure", ["fields": .object(fields)])
                    _ = try await alice.told("configured")
                }
                var number = 0
                func isPrivate() async throws -> Bool? {
                    number += 1
                    try alice.say("!say line \(number)")
                    _ = try await alice.heard("line \(number)")
                    return host.audit.all.last?.isPrivateRoom
                }
                // The answer of the service may come after the first messages.
                func becomesPublic() async throws { while try await isPrivate() != false {} }
                try await configure([
                    "muc#roomconfig_publicroom": true, "muc#roomconfig_membersonly": false,
                    "muc#roomconfig_passwordprotectedroom": false,
                ])
                try await becomesPublic()
                try await configure(["muc#roomconfig_publicroom": false])
                for _ in 0..<5 { #expect(try await isPrivate() == true) }
                try await configure(["muc#roomconfig_publicroom": true])
                try await becomesPublic()
                try await configure([
                    "muc#roomconfig_passwordprotectedroom": true, "muc#roomconfig_roomsecret": "tulip",
                ])
                for _ in 0..<5 { #expect(try await isPrivate() == true) }
            }
        }
    }

    @Test(arguments: XMPPServer.Kind.tested)
    func `a room requires a password, and is destroyed`(_ kind: XMPPServer.Kind) async throws {
        try await XMPPServer.run(kind) { server in
            let alice = try await server.person("alice")
            try alice.order("password", ["password": "tulip"])
            _ = try await alice.told("configured")
            var settings = try server.settings()
            let isKeptOut = Signal()
            let wrong = server.backend(
                settings,
                logger: Logger(label: "test") { _ in
                    CollectingLogHandler { if $0.contains("requires a password") { isKeptOut.open() } }
                })
            try await TestHost.unhurried(wrong).run([Say()]) {
                await isKeptOut.wait()
                // Direct chats work although the bot cannot join the room.
                try alice.say("!say here", to: "petrel@localhost")
                _ = try await alice.heard("here")
                #expect(wrong.status().map(\.detail) == ["ops@conference.localhost requires a password"])
            }
            settings.rooms[0].password = Secret("tulip")
            let right = server.backend(settings)
            try await TestHost.unhurried(right).run([Say()]) {
                try await alice.saw("petrel")
                try alice.say("!say in")
                #expect(try await alice.heard("in")["kind"] == "groupchat")
                try alice.order("destroy")
                // Messages that arrive later were sent after the room was destroyed.
                try alice.say("!say later", to: "petrel@localhost")
                _ = try await alice.heard("later")
                #expect(right.status().map(\.detail).allSatisfy { $0.contains("was destroyed") })
                let address = Address(
                    backend: "xmpp", place: .room("ops@conference.localhost"))
                let failure = await #expect(throws: SendFailure.self) {
                    _ = try await right.send(Reply("hello"), to: address)
                }
                #expect(failure?.remedy == .never)
            }
        }
    }

    @Test(arguments: XMPPServer.Kind.tested)
    func `long texts are uploaded, illegal characters are omitted, and large grapheme clusters stay whole`(
        _ kind: XMPPServer.Kind
    ) async throws {
        try await XMPPServer.run(kind) { server in
            let alice = try await server.person("alice")
            let backend = server.backend(try server.settings())
            try await TestHost.unhurried(backend).run([Say()]) {
                try await alice.saw("petrel")
                let place = Address(backend: "xmpp", place: .direct("alice@localhost"))
                _ = try await backend.send(Reply("a\u{1}b"), to: place)
                #expect(try await alice.heard("a")["text"] == "ab")
                let family = String(repeating: "👨‍👩‍👧‍👦", count: 5_000)
                _ = try await backend.send(Reply(family), to: place)
                var heard = ""
                while heard.count < 5_000 {
                    heard += try await alice.heard("👨‍👩‍👧‍👦")["text"]?.string ?? ""
                }
                #expect(heard == family)
                while !backend.traits.files { await Task.yield() }
                let long = (1...3_000).map { "line \($0)" }.joined(separator: "\n")
                _ = try await backend.send(file: "petrel.txt", Reply(long), to: place)
                let link = try await alice.heard("http://127.0.0.1")
                #expect(link["xml"]?.string?.contains("jabber:x:oob") == true)
                let url = try #require(link["text"]?.string.flatMap { URL(string: $0) })
                #expect(String(decoding: try Data(contentsOf: url), as: UTF8.self) == long)
            }
        }
    }

    @Test(arguments: XMPPServer.Kind.tested)
    func `an undeliverable message is reported as such`(_ kind: XMPPServer.Kind) async throws {
        try await XMPPServer.run(kind) { server in
            let alice = try await server.person("alice")
            let backend = server.backend(try server.settings())
            try await TestHost.unhurried(backend).run([Say()]) {
                try await alice.saw("petrel")
                let address = Address(backend: "xmpp", place: .direct("nobody@localhost"))
                for _ in 0..<10 {
                    let failure = await #expect(throws: SendFailure.self) {
                        _ = try await backend.send(Reply("hello"), to: address)
                    }
                    #expect(failure?.remedy == .never)
                }
            }
        }
    }

    @Test(arguments: XMPPServer.Kind.tested)
    func `the bot answers subscriptions, queries and receipt requests`(_ kind: XMPPServer.Kind) async throws {
        try await XMPPServer.run(kind) { server in
            let alice = try await server.person("alice")
            var settings = try server.settings()
            settings.subscriptions = .accept
            settings.jid = settings.jid.with("bot")
            try await TestHost.unhurried(server.backend(settings)).run([Say()]) {
                try await alice.saw("petrel")
                try alice.order("subscribe", ["to": "petrel@localhost"])
                #expect(try await alice.told("subscribed")["subscribed"]?.string?.hasPrefix("petrel@localhost") == true)
                try alice.order(
                    "ask",
                    ["to": "petrel@localhost/bot", "content": .string("<query xmlns='\(XMPPNames.version)'/>")])
                #expect(try await alice.told("answer")["answer"]?.string?.contains("Petrel") == true)
                try alice.order(
                    "ask", ["to": "petrel@localhost/bot", "id": "q2", "content": "<query xmlns='no:such'/>"])
                #expect(try await alice.told("refused")["refused"] == "service-unavailable")
                try alice.say(
                    "!say hello", to: "petrel@localhost",
                    ["id": "r1", "more": [.string("<request xmlns='\(XMPPNames.receipts)'/>")]])
                #expect(try await alice.told("receipt")["receipt"] == "r1")
            }
        }
    }
}
