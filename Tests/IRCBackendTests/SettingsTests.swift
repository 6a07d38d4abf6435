import Foundation
import Logging
import PetrelKit
import PetrelSupport
import Testing

@testable import IRCBackend

@Suite(.timeLimit(.minutes(30))) struct SettingsTests {
    private static func read(_ json: String) throws -> (settings: IRCSettings, context: SettingsContext) {
        let context = SettingsContext(folder: URL(fileURLWithPath: "/etc/petrel"), environment: ["WORD": "s3cret"])
        let object = try #require(try JSONValue.parse(json.utf8).object)
        return (IRCSettings(SettingsSection(object, at: "backends.irc", in: context)), context)
    }

    private static func problems(_ json: String) throws -> [String] {
        try read(json).context.problems.map(\.description)
    }

    @Test func `the defaults are TLS and the nick petrel`() throws {
        let (settings, context) = try Self.read(#"{"server": "irc.example.com"}"#)
        #expect(context.problems.isEmpty && context.warnings.isEmpty)
        #expect(settings.port == 6_697 && settings.isEncrypted && settings.nick == "petrel")
        #expect(settings.username == "petrel" && settings.realname == "petrel" && settings.channels.isEmpty)
    }

    @Test func `output has few lines, because each is a message`() throws {
        #expect(makeBackend(IRCSettings(server: "irc.example.com", nick: "petrel")).traits.maximumLines == 10)
    }

    @Test func `all keys are read, and secrets come from the environment`() throws {
        let (settings, context) = try Self.read(
            ##"""
            {"server": "irc.example.com", "port": 7000, "ca_cert": "ca.pem", "client_cert": "c.pem", "client_key": "k.pem",
             "nick": "bot", "username": "b", "realname": "The bot", "password": {"env": "WORD"},
             "sasl": {"mechanism": "plain", "account": "bot", "password": {"env": "WORD"}},
             "channels": ["#ops", {"name": "#sec", "key": {"env": "WORD"}}], "flood": {"lines": 10, "seconds": 2}}
            """##)
        #expect(context.problems.isEmpty)
        #expect(settings.authority == "/etc/petrel/ca.pem" && settings.key == "/etc/petrel/k.pem")
        #expect(settings.password?.reveal() == "s3cret" && settings.channels[1].key?.reveal() == "s3cret")
        #expect(settings.channels.map(\.name) == ["#ops", "#sec"] && settings.floodPeriod == .seconds(2))
        #expect(!"\(settings)".contains("s3cret"))
        guard case .plain("bot", let password)? = settings.login else {
            Issue.record("no login")
            return
        }
        #expect(password.reveal() == "s3cret")
    }

    @Test(arguments: [
        ("{}", "backends.irc.server: is required"),
        (##"{"server": "a b"}"##, "backends.irc.server: must be a host name"),
        (##"{"server": "x", "nick": "1x"}"##, "backends.irc.nick: is not a nick, such as petrel"),
        (##"{"server": "x", "nick": "a b"}"##, "backends.irc.nick: is not a nick, such as petrel"),
        (
            ##"{"server": "x", "channels": ["ops"]}"##,
            ##"backends.irc.channels[0]: "ops" is not a channel, such as #ops"##
        ),
        (
            ##"{"server": "x", "channels": ["#a,#b"]}"##,
            ##"backends.irc.channels[0]: "#a,#b" is not a channel, such as #ops"##
        ),
        (##"{"server": "x", "channels": "#a"}"##, "backends.irc.channels: must be a list of channels, not a string"),
        (
            ##"{"server": "x", "channels": [{"name": "#a", "key": "a,b"}]}"##,
            "backends.irc.channels[0].key: must not contain spaces, commas or control characters"
        ),
        (
            ##"{"server": "x", "sasl": {"mechanism": "external"}}"##,
            ##"backends.irc.sasl.mechanism: "external" requires client_cert and client_key"##
        ),
        (##"{"server": "x", "sasl": {"password": "p"}}"##, "backends.irc.sasl.account: is required"),
        (
            ##"{"server": "x", "tls": false, "sasl": {"account": "a", "password": "p"}}"##,
            "backends.irc.sasl: requires tls, so that the password stays secret"
        ),
        (
            ##"{"server": "x", "client_cert": "c"}"##,
            "backends.irc.client_cert: requires client_key, and client_key requires client_cert"
        ),
        (##"{"server": "x", "channel": []}"##, ##"backends.irc.channel: unknown key; did you mean "channels"?"##),
        (
            ##"{"server": "x", "flood": {"line": 1}}"##,
            ##"backends.irc.flood.line: unknown key; did you mean "lines"?"##
        ),
        (##"{"server": "x", "password": "a\r\nQUIT"}"##, "backends.irc.password: must be one line that is not empty"),
    ])
    func `an error in the settings is reported with its place`(_ json: String, _ problem: String) throws {
        #expect(try Self.problems(json) == [problem])
    }

    @Test func `a connection without TLS is explicit, and warned of unless it is local`() throws {
        let (settings, context) = try Self.read(#"{"server": "irc.example.com", "tls": false}"#)
        #expect(!settings.isEncrypted && settings.port == 6_667 && context.warnings.count == 1)
        #expect(try Self.read(#"{"server": "localhost", "tls": false}"#).context.warnings.isEmpty)
    }

    @Test func `the examples of the documentation are valid`() throws {
        let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../docs/IRC.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        var count = 0
        for block in text.components(separatedBy: "```json\n").dropFirst() {
            let json = "{" + block.components(separatedBy: "\n```")[0] + "}"
            let sections = try #require(try JSONValue.parse(json.utf8)["backends"]?.object)
            for (name, section) in sections {
                let context = SettingsContext(
                    folder: URL(fileURLWithPath: "/"),
                    environment: ["IRC_PASSWORD": "a", "NICKSERV_PASSWORD": "b", "SEC_KEY": "c"])
                _ = IRCSettings(SettingsSection(try #require(section.object), at: name, in: context))
                #expect(context.problems.isEmpty && context.warnings.isEmpty, "\(context.problems)")
                count += 1
            }
        }
        #expect(count >= 3)
    }

    @Test func `channels of the settings are certain places, and other names are possible ones`() throws {
        var settings = IRCSettings(server: "x", nick: "petrel")
        settings.channels = [IRCSettings.Channel(name: "#Ops")]
        let backend = makeBackend(settings)
        #expect(backend.claim("#OPS") == .own(.room("#ops")))
        #expect(backend.claim("#other") == .possible(.room("#other")))
        #expect(backend.claim("@Alice") == .possible(.direct("@alice")))
        #expect(backend.claim("alice") == .possible(.direct("alice")))
        let visit = IRCIdentity.newVisit(of: "alice")
        #expect(backend.claim(visit) == .own(.direct(visit)))
        for name in ["alice@example.com", "a b", "", "@", "ops@conference.example.com"] {
            #expect(backend.claim(name) == .foreign)
        }
    }

    @Test func `reviewers of access rules are told that nicks change hands`() {
        let facts = IRCPlugIn.facts
        #expect(facts.namesChange && facts.caution?.contains("nick") == true)
        #expect(facts.names.isID("alice", .person) && !facts.names.isID("@alice", .person))
        #expect(!facts.names.isID("Alice", .person) && !facts.names.isID("#Ops", .room))
        #expect(facts.names.isID("#ops", .room) && !facts.names.isID("ops", .room))
    }
}
