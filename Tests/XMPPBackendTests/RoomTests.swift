import PetrelKit
import PetrelSupport
import Testing
import XMLStream

@testable import XMPPBackend

/// Rooms, stream management and server selection, without a server.
@Suite struct RoomTests {
    /// A reference to a room, for use in `#expect`.
    private final class Box {
        private var room: XMPPRoom

        init(_ room: XMPPRoom) { self.room = room }

        var nick: String { room.nick }
        var standing: XMPPRoom.Standing { room.standing }

        func occupant(_ nick: String) -> XMPPRoom.Occupant? { room.occupant(nick) }
        func join() -> XMLElement? { room.join() }
        func markUnanswered() -> Bool { room.markUnanswered() }
        var isUnresponsive: Bool { room.isUnresponsive }
        func leave() { room.leave() }
        func nick(during visit: Int) -> String? { room.nick(during: visit) }
        func reclaim() -> XMLElement? { room.reclaim() }
        var names: [String] { room.names }
        func take(_ presence: XMLElement, from occupant: String?) -> XMPPRoom.Action {
            room.take(presence, from: occupant)
        }
    }

    private static func room() throws -> Box {
        Box(XMPPRoom(try #require(JID("ops@conference.x")), nick: "petrel", password: Secret("word"), isTrusted: true))
    }

    private static func presence(
        type: String? = nil, statuses: [String] = [], item: [String: String?] = [:], more: [XMLElement] = []
    ) -> XMLElement {
        let codes = statuses.map { XMLElement("status", "", ["code": $0]) }
        return XMLElement(
            "presence", "", ["type": type],
            [XMLElement("x", XMPPNames.mucUser, [:], [XMLElement("item", "", item)] + codes + more)])
    }

    private static func refusal(_ condition: String) -> XMLElement {
        XMLElement(
            "presence", "", ["type": "error"],
            [XMLElement("error", "", ["type": "cancel"], [XMLElement(condition, XMPPNames.stanzaErrors)])])
    }

    @Test func `joining requests no history and sends the password`() throws {
        let room = try Self.room()
        let presence = try #require(room.join())
        #expect(presence["to"] == "ops@conference.x/petrel" && room.standing == .joining)
        let muc = presence.child("x", XMPPNames.muc)
        #expect(muc?.child("history")?["maxstanzas"] == "0" && muc?.child("password")?.text == "word")
        #expect(room.take(Self.presence(item: ["jid": "Alice@x/phone"]), from: "alice") == .nothing)
        #expect(room.take(Self.presence(statuses: ["110"]), from: "petrel") == .joined)
        #expect(room.occupant("alice")?.jid?.description == "alice@x" && room.standing == .inside)
        #expect(room.take(Self.presence(type: "unavailable"), from: "alice") == .nothing)
        #expect(room.occupant("alice") == nil)
    }

    @Test func `the bot does not join twice, and records that a room does not respond`() throws {
        let room = try Self.room()
        #expect(!room.markUnanswered())
        _ = room.join()
        #expect(room.join() == nil && room.markUnanswered() && room.isUnresponsive && room.standing == .outside)
        #expect(room.join() != nil)
        _ = room.take(Self.presence(statuses: ["110"]), from: "petrel")
        #expect(room.join() == nil && !room.markUnanswered() && !room.isUnresponsive)
    }

    @Test func `private messages to occupants are not resent on a resumed stream`() {
        var management = StreamManagement()
        management.begin(resumption: "r")
        let acknowledgements = (0..<2).map { _ in StreamManagement.Acknowledgement() }
        management.send(XMLElement("message", "", [:], [XMLElement("x", XMPPNames.mucUser)]), acknowledgements[0])
        management.send(XMLElement("message", "", ["id": "m2"]), acknowledgements[1])
        #expect(management.resend().map { $0["id"] } == ["m2"])
        #expect(acknowledgements[0].value == false && acknowledgements[1].value == nil)
    }

    @Test func `an occupant who enters with a known nick has a new visit`() throws {
        let room = try Self.room()
        _ = room.join()
        _ = room.take(Self.presence(), from: "alice")
        let first = try #require(room.occupant("alice")?.visit)
        _ = room.take(Self.presence(), from: "alice")
        #expect(room.occupant("alice")?.visit == first)
        _ = room.take(Self.presence(type: "unavailable"), from: "alice")
        _ = room.take(Self.presence(), from: "alice")
        #expect(room.occupant("alice")?.visit != first)
        let id = XMPPMessageID(try #require(JID("ops@conference.x/\u{301}a b")), visit: first)
        #expect(XMPPMessageID(id.text) == id)
    }

    @Test func `the bot takes another nick on a conflict, and unlocks a new room`() throws {
        let room = try Self.room()
        _ = room.join()
        #expect(room.take(Self.refusal("conflict"), from: "petrel") == .join)
        #expect(room.join()?["to"] == "ops@conference.x/petrel_")
        #expect(room.take(Self.presence(statuses: ["110", "201"]), from: "petrel_") == .unlock)
        #expect(room.nick == "petrel_")
        room.leave()
        #expect(room.join()?["to"] == "ops@conference.x/petrel")
        for _ in 0..<5 { #expect(room.take(Self.refusal("conflict"), from: room.nick) == .join); _ = room.join() }
        #expect(room.take(Self.refusal("conflict"), from: room.nick) == .joinLater(reason: "conflict"))
    }

    @Test(arguments: ["not-authorized", "forbidden", "registration-required", "not-allowed"])
    func `the bot does not retry to join a room that refuses it`(condition: String) throws {
        let room = try Self.room()
        _ = room.join()
        guard case .tell = room.take(Self.refusal(condition), from: nil) else { return #expect(Bool(false)) }
        guard case .barred = room.standing else { return #expect(Bool(false)) }
    }

    @Test func `the bot rejoins after a kick, but not after a ban or when the room was destroyed`()
        throws
    {
        let room = try Self.room()
        _ = room.join()
        _ = room.take(Self.presence(statuses: ["110"]), from: "petrel")
        let gone = Self.presence(type: "unavailable", statuses: ["307"])
        guard case .joinLater = room.take(gone, from: "petrel") else { return #expect(Bool(false)) }
        for end in [
            Self.presence(type: "unavailable", statuses: ["110", "301"]),
            Self.presence(type: "unavailable", statuses: ["110"], more: [XMLElement("destroy")]),
            Self.presence(type: "unavailable", statuses: ["110", "321"]),
        ] {
            let room = try Self.room()
            _ = room.join()
            _ = room.take(Self.presence(statuses: ["110"]), from: "petrel")
            guard case .tell = room.take(end, from: "petrel") else { return #expect(Bool(false)) }
        }
    }

    @Test func `the bot's nick follows a change by the room`() throws {
        let room = try Self.room()
        _ = room.join()
        _ = room.take(Self.presence(statuses: ["110"]), from: "petrel")
        let change = Self.presence(type: "unavailable", statuses: ["110", "303"], item: ["nick": "bot"])
        #expect(room.take(change, from: "petrel") == .nothing && room.nick == "bot" && room.standing == .inside)
    }

    @Test func `acknowledgements that exceed the number of sent stanzas are ignored`() async {
        var management = StreamManagement()
        management.begin(resumption: "r")
        let acknowledgements = (0..<3).map { _ in StreamManagement.Acknowledgement() }
        for acknowledgement in acknowledgements { management.send(XMLElement("message"), acknowledgement) }
        management.acknowledge(9)
        #expect(management.unacknowledged.count == 3)
        management.acknowledge(2)
        #expect(management.unacknowledged.count == 1)
        #expect(await acknowledgements[1].wait(atMost: .zero) == true)
        management.acknowledge(1)
        #expect(management.unacknowledged.count == 1)
        let lost = management.giveUp()
        #expect(lost.count == 1 && management.unacknowledged.isEmpty)
        management.send(XMLElement("message"), acknowledgements[2])
        #expect(management.unacknowledged.isEmpty)
    }

    @Test func `servers are ordered by priority, and randomly by weight within a priority`() {
        func service(_ priority: Int, _ weight: Int, _ host: String) -> ServiceLookup.Service {
            ServiceLookup.Service(
                priority: priority, weight: weight, address: ServerAddress(host: host, port: 1, isDirect: false))
        }
        var random = SystemRandomNumberGenerator()
        var firsts: Set<String> = []
        for _ in 0..<200 {
            let order = ServiceLookup.ordered(
                [service(20, 0, "c"), service(10, 1, "a"), service(10, 1, "b"), service(10, 0, "d")], using: &random
            ).map(\.address.host)
            #expect(order.last == "c" && Set(order) == ["a", "b", "c", "d"])
            firsts.insert(order[0])
        }
        #expect(firsts.isSuperset(of: ["a", "b"]))
    }

    @Test func `a visit survives a change of the nick, but does not pass to the next owner of the nick`() throws {
        let room = try Self.room()
        _ = room.join()
        _ = room.take(Self.presence(), from: "nick1")
        let alice = try #require(room.occupant("nick1")?.visit)
        _ = room.take(Self.presence(type: "unavailable", statuses: ["303"], item: ["nick": "nick2"]), from: "nick1")
        _ = room.take(Self.presence(), from: "nick2")
        #expect(room.occupant("nick2")?.visit == alice && room.nick(during: alice) == "nick2")
        _ = room.take(Self.presence(), from: "nick1")
        #expect(room.occupant("nick1")?.visit != alice)
        _ = room.take(Self.presence(type: "unavailable"), from: "nick2")
        #expect(room.nick(during: alice) == nil)
        // Canonically equivalent nicks are different.
        _ = room.take(Self.presence(), from: "e\u{301}")
        #expect(room.occupant("\u{E9}") == nil)
    }

    @Test(arguments: [
        ("ops@conference.evil.example", false, "alice@x", false),
        ("ops@conference.evil.example", false, "eve@evil.example", true),
        ("ops@conference.evil.example", false, "alice@example", false),
        ("ops@notx", false, "alice@x", false),
        ("ops@conference.evil.example", true, "alice@x", true),
    ]) func `a service vouches for accounts of its own domain, and for others only if it is trusted`(
        _ room: String, _ isTrusted: Bool, _ account: String, _ isProven: Bool
    ) throws {
        var room = XMPPRoom(try #require(JID(room)), nick: "petrel", password: nil, isTrusted: isTrusted)
        _ = room.join()
        _ = room.take(Self.presence(item: ["jid": "\(account)/phone"]), from: "nick1")
        #expect(room.occupant("nick1")?.jid?.description == (isProven ? account : nil))
    }

    @Test func `services of the bot's own domain and of trusted_services are trusted`() throws {
        var settings = XMPPSettings(jid: try #require(JID("petrel@x.example")), password: Secret("s"), nick: "petrel")
        settings.trustedServices = ["rooms.partner.example"]
        for (room, isTrusted) in [
            ("a@conference.x.example", true), ("a@x.example", true), ("a@rooms.partner.example", true),
            ("a@conference.evilx.example", false), ("a@x.example.evil", false), ("a@partner.example", false),
        ] {
            #expect(settings.trusts(try #require(JID(room))) == isTrusted, "\(room)")
        }
    }

    @Test func `the configured nick is requested when it is available, and counts as a name before`() throws {
        let room = try Self.room()
        _ = room.join()
        _ = room.take(Self.refusal("conflict"), from: "petrel")
        _ = room.join()
        _ = room.take(Self.presence(), from: "petrel")
        #expect(room.take(Self.presence(statuses: ["110"]), from: "petrel_") == .joined)
        #expect(room.reclaim() == nil && room.names == ["petrel_", "petrel"])
        #expect(room.take(Self.presence(type: "unavailable"), from: "petrel") == .reclaim)
        #expect(room.reclaim()?["to"] == "ops@conference.x/petrel")
        // Another occupant took the nick first.
        #expect(room.take(Self.refusal("conflict"), from: "petrel") == .nothing && room.nick == "petrel_")
        let change = Self.presence(type: "unavailable", statuses: ["110", "303"], item: ["nick": "petrel"])
        #expect(room.take(change, from: "petrel_") == .nothing)
        #expect(room.take(Self.presence(statuses: ["110"]), from: "petrel") == .nothing)
        #expect(room.standing == .inside && room.names == ["petrel"] && room.reclaim() == nil)
    }

    @Test(arguments: [
        ("petrel: help", "help", true), ("PETREL_,  help", "help", true), ("petrel:\u{301}", "\u{301}", true),
        ("petrels: help", "petrels: help", false), ("petrel help", "petrel help", false), ("", "", false),
    ]) func `the bot is addressed by its names`(_ text: String, _ rest: String, _ isAddressed: Bool) {
        let found = XMPPInbox.addressed(text, to: ["petrel_", "petrel"])
        #expect(found.text == rest && found.isAddressed == isAddressed)
    }

    @Test(
        arguments: [
            (["muc_public", "muc_open", "muc_unsecured"], true), (["muc_hidden", "muc_open", "muc_unsecured"], false),
            (["muc_public", "muc_membersonly", "muc_unsecured"], false),
            (["muc_public", "muc_open", "muc_passwordprotected"], false), ([], true), (nil, false),
        ] as [([String]?, Bool)])
    func `a room is private until the service tells that everyone may see and enter it`(
        _ features: [String]?, _ isPublic: Bool
    ) throws {
        var room = XMPPRoom(try #require(JID("ops@conference.x")), nick: "petrel", password: nil)
        #expect(!room.isPublic)
        let names = features.map { [XMPPNames.muc] + $0 } ?? [XMPPNames.ping]
        let query = XMLElement("query", XMPPNames.info, [:], names.map { XMLElement("feature", "", ["var": $0]) })
        let answer = XMLElement("iq", "", ["type": "result"], [query])
        let (old, new) = (room.inquire(), room.inquire())
        // The answer may be about the configuration before a change.
        room.learn(answer, old)
        #expect(!room.isPublic)
        room.learn(answer, new)
        #expect(room.isPublic == isPublic)
        _ = room.inquire()
        #expect(!room.isPublic)
    }
}
