import PetrelKit
import PetrelSupport
import Testing

@testable import IRCBackend

/// The identity of people, and the messages that are passed to the host.
@Suite(.timeLimit(.minutes(30))) struct PeopleTests {
    private static let tracking = "account-notify extended-join"

    @Test func `a message to a channel has a room, and a private one has none`() throws {
        var dialog = Dialog.open()
        dialog.hear(":s 324 petrel #Ops +n")
        let message = try #require(dialog.delivered(":Alice!a@h PRIVMSG #OPS :\u{3}4!st2 list\u{F}").first)
        #expect(message.room == Room(id: "#ops", name: "#ops") && message.text == "!st2 list" && !message.isAddressed)
        #expect(message.sender.name == "@alice" && !message.sender.isStable)
        let direct = try #require(dialog.delivered(":Alice!a@h PRIVMSG Petrel :petrel: help").first)
        #expect(direct.room == nil && direct.text == "help" && direct.isAddressed)
        #expect(direct.sender == message.sender && direct.place == .direct(message.sender.id))
        #expect(IRCIdentity.sender(of: direct.id) == direct.sender.id && direct.id != message.id)
    }

    @Test(arguments: [
        ":petrel!p@h PRIVMSG #ops :!x", ":irc.example.com PRIVMSG #ops :!x", "PRIVMSG #ops :!x",
        ":alice!a@h NOTICE #ops :!x", ":alice!a@h NOTICE petrel :\u{1}VERSION\u{1}", ":alice!a@h PRIVMSG #other :!x",
        ":alice!a@h PRIVMSG @#ops :!x", ":alice!a@h PRIVMSG #sec :!x", ":alice!a@h PRIVMSG bob :!x",
        ":alice!a@h PRIVMSG #ops :\u{1}ACTION !st2 list\u{1}", ":alice!a@h PRIVMSG petrel :\u{1}DCC SEND x 1 2 3\u{1}",
        ":alice!a@h PRIVMSG #ops", ":alice!a@h TAGMSG #ops",
    ])
    func `other messages are neither run nor answered`(_ line: String) {
        var dialog = Dialog.open()
        dialog.hear(line)
        let actions = dialog.take()
        #expect(actions.sent.isEmpty)
        #expect(!actions.contains { if case .deliver = $0 { true } else { false } })
    }

    @Test func `requests of clients are answered with notices, at a limited rate`() {
        var dialog = Dialog.open()
        dialog.hear(":a!a@h PRIVMSG petrel :\u{1}VERSION\u{1}", ":a!a@h PRIVMSG #ops :\u{1}PING 12 3\u{1}")
        #expect(dialog.sent() == ["NOTICE a :\u{1}VERSION Petrel 1.2.3\u{1}", "NOTICE a :\u{1}PING 12 3\u{1}"])
        for _ in 0..<100 { dialog.hear(":b!b@h PRIVMSG petrel :\u{1}VERSION\u{1}") }
        #expect(dialog.sent().count == 1)
        dialog.now += .seconds(10)
        dialog.hear(":a!a@h PRIVMSG petrel :\u{1}PING \(String(repeating: "x", count: 510))\u{1}")
        #expect(dialog.sent().isEmpty)
    }

    @Test func `a message with a known ID is not run again`() {
        var dialog = Dialog.open("message-tags")
        #expect(dialog.delivered("@msgid=1 :alice!a@h PRIVMSG #ops :!x").count == 1)
        #expect(dialog.delivered("@msgid=1 :alice!a@h PRIVMSG #ops :!x").isEmpty)
        #expect(dialog.delivered("@msgid=2 :alice!a@h PRIVMSG #ops :!x").count == 1)
    }

    @Test func `with account-tag, the account of each message is the identity`() throws {
        var dialog = Dialog.open("account-tag")
        let alice = try dialog.person("al!a@h", tags: "account=Alice")
        #expect(alice == Person(id: "alice", name: "@alice"))
        #expect(try dialog.person("alice!a@h").isStable == false)
        #expect(try dialog.person("alice!a@h").id != "alice")
        for value in ["", "*", "0", "a!0123456789abcdef", "@x", "#ops", "a\\sb", "a\\nb"] {
            #expect(try dialog.person("al!a@h", tags: "account=\(value)").isStable == false, "\(value)")
        }
    }

    @Test func `an account tag is ignored unless the server has enabled it`() throws {
        var dialog = Dialog.open("message-tags")
        #expect(try dialog.person("al!a@h", tags: "account=alice").isStable == false)
    }

    @Test func `with extended-join and account-notify, accounts of people in channels are known`() throws {
        var dialog = Dialog.open(Self.tracking, support: "CASEMAPPING=ascii WHOX")
        dialog.hear(":bob!b@h JOIN #ops Robert :Bob", ":carl!c@h JOIN #ops * :Carl")
        #expect(try dialog.person("bob!b@h") == Person(id: "robert", name: "@robert"))
        #expect(try dialog.person("carl!c@h").isStable == false)
        let unknown = try dialog.person("alice!a@h")
        #expect(!unknown.isStable)
        dialog.hear(
            ":s 354 petrel 742 a h alice Alice1", ":s 354 petrel 742 c h carl 0", ":s 354 petrel 743 c h carl X")
        #expect(try dialog.person("alice!a@h").id == "alice1")
        #expect(try dialog.person("carl!c@h").isStable == false)
        dialog.hear(":alice!a@h ACCOUNT *")
        #expect(try dialog.person("alice!a@h").id == unknown.id)
        dialog.hear(":alice!a@h ACCOUNT other")
        #expect(try dialog.person("alice!a@h").id == "other")
        // Nothing is known about the sender of a private message who shares no channel.
        dialog.hear(":alice!a@h PART #ops")
        #expect(try dialog.person("alice!a@h", to: "petrel").isStable == false)
    }

    @Test func `the bot asks for the accounts of the people in a channel`() {
        var dialog = Dialog.open(Self.tracking, support: "WHOX")
        dialog.hear(":petrel!p@h JOIN #sec")
        #expect(dialog.sent() == ["MODE #sec", "WHO #sec %tuhna,742"])
        var plain = Dialog.open("extended-join", support: "WHOX")
        plain.hear(":petrel!p@h JOIN #sec")
        #expect(plain.sent() == ["MODE #sec"])
    }

    @Test func `without account-notify, an account at the entrance is not trusted later`() throws {
        var dialog = Dialog.open("extended-join")
        dialog.hear(":bob!b@h JOIN #ops robert :Bob")
        #expect(try dialog.person("bob!b@h").isStable == false)
    }

    @Test(arguments: [":alice!a@h QUIT :bye", ":alice!a@h PART #ops", ":op!o@h KICK #ops alice :x"])
    func `a later owner of a nick is another person`(_ line: String) throws {
        var dialog = Dialog.open()
        let alice = try dialog.person("alice!a@h")
        #expect(dialog.session.people.nick(during: alice.id) == "alice")
        dialog.hear(line)
        #expect(dialog.session.people.nick(during: alice.id) == nil)
        dialog.hear(":alice!a@h JOIN #ops")
        let other = try dialog.person("alice!a@h")
        #expect(other.id != alice.id && other.name == alice.name)
        #expect(dialog.session.people.nick(during: alice.id) == nil)
    }

    @Test func `a person who changes the nick stays the same person`() throws {
        var dialog = Dialog.open()
        let alice = try dialog.person("alice!a@h")
        dialog.hear(":alice!a@h NICK :Alice[away]", ":bob!b@h JOIN #ops", ":bob!b@h NICK alice")
        #expect(try dialog.person("alice[AWAY]!a@h").id == alice.id)
        #expect(try dialog.person("alice!b@h").id != alice.id)
        #expect(dialog.session.people.nick(during: alice.id) == "Alice[away]")
    }

    @Test func `a person who shares no channel with the bot has a new identity with each message`() throws {
        var dialog = Dialog.open()
        let first = try dialog.person("eve!e@h", to: "petrel")
        let second = try dialog.person("eve!e@h", to: "petrel")
        #expect(first.id != second.id && first.name == "@eve")
        // Answers are sent as long as the nick seems to belong to the same client.
        #expect(dialog.session.people.nick(during: first.id) == "eve")
        _ = try dialog.person("eve!other@host", to: "petrel")
        #expect(dialog.session.people.nick(during: first.id) == nil)
    }

    @Test func `names are compared by the rules of the server`() throws {
        var dialog = Dialog.open(support: "CASEMAPPING=rfc1459")
        dialog.hear(":a[b]!a@h JOIN #ops")
        #expect(try dialog.person("A{B}!a@h").id == dialog.person("a[b]!a@h").id)
        #expect(try dialog.person("A{B}!a@h").name == "@a{b}")
    }

    private static func recipient(
        _ dialog: Dialog, _ place: Address.Place, answering id: String? = nil, isPrivate: Bool = false
    ) throws -> IRCSession.Recipient {
        try dialog.session.recipient(
            of: Reply("x", isPrivate: isPrivate), at: Address(backend: "irc", place: place, inReplyTo: id))
    }

    @Test func `replies go to channels that the bot is in, and to people who are still there`() throws {
        var dialog = Dialog.open("account-tag \(Self.tracking)")
        #expect(try Self.recipient(dialog, .room("#ops")) == .target("#Ops"))
        #expect(throws: SendFailure.self) { try Self.recipient(dialog, .room("#sec")) }
        #expect(throws: SendFailure.self) { try Self.recipient(dialog, .room("#other")) }
        #expect(try Self.recipient(dialog, .direct("@bob")) == .target("bob"))
        let message = try #require(dialog.delivered(":alice!a@h PRIVMSG #ops :!x").first)
        #expect(try Self.recipient(dialog, .room("#ops"), answering: message.id, isPrivate: true) == .target("alice"))
        #expect(throws: SendFailure.self) { try Self.recipient(dialog, .room("#ops"), isPrivate: true) }
        dialog.hear(":alice!a@h QUIT")
        #expect(throws: SendFailure.self) { try Self.recipient(dialog, .direct(message.sender.id)) }
        // An account is asked for unless its client is in a channel.
        #expect(try Self.recipient(dialog, .direct("robert")) == .account("robert", nick: "robert"))
        _ = try dialog.person("bobby!b@h", tags: "account=robert", to: "petrel")
        #expect(try Self.recipient(dialog, .direct("robert")) == .account("robert", nick: "bobby"))
        dialog.hear(":bobby!b@h JOIN #ops robert :Bob")
        #expect(try Self.recipient(dialog, .direct("robert")) == .target("bobby"))
    }

    @Test func `errors and echoes before the answer to the ping decide about a message`() {
        var exchange = IRCExchange(target: "#ops")
        exchange.take(.echo(target: "#other"), IRCCase.ascii.fold)
        #expect(exchange.failure(lines: 1, isEchoed: false, isSteady: true) == nil)
        #expect(exchange.failure(lines: 1, isEchoed: true, isSteady: true)?.remedy == .later(after: nil))
        exchange.take(.echo(target: "#ops"), IRCCase.ascii.fold)
        #expect(exchange.failure(lines: 1, isEchoed: true, isSteady: true) == nil)
        for (code, isSteady, remedy) in [
            ("401", true, .later(after: nil)), ("401", false, .never), ("403", true, .never),
            ("404", true, .later(after: nil)), ("442", true, .later(after: nil)),
        ] as [(String, Bool, SendFailure.Remedy)] {
            var refused = IRCExchange(target: "#ops")
            refused.take(.refused(target: "#ops", code: code, reason: "no"), IRCCase.ascii.fold)
            #expect(refused.failure(lines: 1, isEchoed: true, isSteady: isSteady)?.remedy == remedy)
        }
    }
}
