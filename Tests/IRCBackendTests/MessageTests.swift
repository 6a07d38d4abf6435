import PetrelSupport
import Testing

@testable import IRCBackend

/// The parser and the writer of messages, and the conventions inside their text.
@Suite(.timeLimit(.minutes(30))) struct MessageTests {
    private static func parsed(_ text: String) -> IRCMessage? { IRCMessage(line: Array(text.utf8)) }

    @Test func `a message has tags, a source, a command and parameters`() throws {
        let message = try #require(
            Self.parsed(
                "@account=alice;+x/y=a\\:b\\sc\\\\d\\r\\n;flag :Al|ce!~al@host.example PRIVMSG #ops :!st2  list : x"))
        #expect(message.tags == ["account": "alice", "+x/y": "a;b c\\d\r\n", "flag": ""])
        #expect(message.source == IRCMessage.Source("Al|ce!~al@host.example"))
        #expect(message.source?.nick == "Al|ce" && message.source?.mask == "~al@host.example")
        #expect(message.command == "PRIVMSG" && message.parameters == ["#ops", "!st2  list : x"])
    }

    @Test(arguments: [
        ("PING", "PING", []), ("ping x", "PING", ["x"]), ("PING :", "PING", [""]), (":s 001 a :", "001", ["a", ""]),
        (":s  376   a  b ", "376", ["a", "b"]), ("A :b :c", "A", ["b :c"]), ("A b:c d", "A", ["b:c", "d"]),
    ])
    func `spaces and missing parts are accepted`(_ line: String, _ command: String, _ parameters: [String]) throws {
        let message = try #require(Self.parsed(line))
        #expect(message.command == command && message.parameters == parameters)
    }

    @Test(arguments: [
        "", " ", ":", ":only", ":!user@host PING", "@tag", "@tag ", "@tag :source", "PRIV-MSG x", "é x", "A \u{0} b",
        "A\rB",
        "A b\nQUIT",
    ])
    func `a line that is not a message is ignored`(_ line: String) {
        #expect(Self.parsed(line) == nil)
    }

    @Test func `a server has no user and no host`() throws {
        let server = try #require(Self.parsed(":irc.example.com NOTICE * :hello"))
        #expect(server.source?.nick == "irc.example.com" && server.source?.mask == nil)
        #expect(Self.parsed(":a@b X")?.source?.host == "b" && Self.parsed(":a!b X")?.source?.mask == nil)
    }

    @Test func `a line that is not UTF-8 is read as Latin-1, and no byte is lost`() throws {
        let head = ":m\u{FC}!u@h PRIVMSG #x :".unicodeScalars.map { UInt8($0.value) }
        let bytes: [UInt8] = head + [0xE9, 0xFF, 0x80, 0x20]
        let message = try #require(IRCMessage(line: bytes))
        #expect(message.source?.nick == "m\u{FC}")
        #expect(message[1].map { Array($0.unicodeScalars.map(\.value)) } == [0xE9, 0xFF, 0x80, 0x20])
        #expect(Self.parsed("X :é")?[0] == "é")
    }

    @Test func `lines do not depend on how the bytes arrive`() {
        let text = "PING 1\r\nPING 2\n\r\n\nbad-\r\nPING :3\r\nPING rest"
        for size in 1...9 {
            var reader = IRCLineReader()
            let bytes = Array(text.utf8)
            let messages = stride(from: 0, to: bytes.count, by: size).flatMap {
                reader.feed(bytes[$0..<min($0 + size, bytes.count)])
            }
            #expect(messages.map { $0[0] } == ["1", "2", "3"])
        }
    }

    @Test func `a line that is too long is skipped, and the next one is read`() {
        var reader = IRCLineReader()
        #expect(reader.feed("PING ".utf8).isEmpty)
        for _ in 0..<100 { #expect(reader.feed(Array(repeating: 0x61, count: 10_000)).isEmpty) }
        #expect(reader.feed("\r\nPING x\r\n".utf8).map { $0[0] } == ["x"])
        let tags = String(repeating: "a=b;", count: 2_047)
        #expect(Self.parsed("@\(tags) PING x") != nil)
        #expect(Self.parsed("@\(tags)abcdefg PING x") == nil)
    }

    @Test(arguments: ["a\r\nQUIT", "a\nQUIT", "a\rQUIT", "a\u{0}b"])
    func `no text can add a command`(_ text: String) {
        #expect(throws: IRCMessage.Unsendable.self) { try IRCMessage("PRIVMSG", "#x", text).encoded() }
        #expect(throws: IRCMessage.Unsendable.self) { try IRCMessage("PRIVMSG", text, "x").encoded() }
        #expect(throws: IRCMessage.Unsendable.self) { try IRCMessage(text, "x").encoded() }
    }

    @Test(arguments: ["", "a b", ":a", " "])
    func `only the last parameter may contain spaces`(_ text: String) throws {
        #expect(throws: IRCMessage.Unsendable.self) { try IRCMessage("PRIVMSG", text, "x").encoded() }
        let line = try IRCMessage("PRIVMSG", "#x", text).encoded()
        #expect(line == Array("PRIVMSG #x :\(text)\r\n".utf8))
    }

    @Test func `a written message is read back, and has at most 512 bytes and its tags`() throws {
        var message = IRCMessage("PRIVMSG", "#x", "a;b \\ é")
        message.tags = ["+a": "x;y z\\\r\n", "b": ""]
        let line = try message.encoded()
        #expect(IRCMessage(line: line.dropLast(2)) == message)
        let longest = IRCMessage("PRIVMSG", "#x", String(repeating: "é", count: 249))
        #expect(try longest.encoded().count == 512 - 2 + 1)
        #expect(throws: IRCMessage.Unsendable.self) {
            try IRCMessage("PRIVMSG", "#x", String(repeating: "é", count: 250)).encoded()
        }
        message.tags = ["a": String(repeating: "x", count: 8_191)]
        #expect(throws: IRCMessage.Unsendable.self) { try message.encoded() }
        message.tags = ["a b": "x"]
        #expect(throws: IRCMessage.Unsendable.self) { try message.encoded() }
    }

    @Test func `names are compared by the rules of the server`() {
        #expect(IRCCase.ascii.fold("Nick[]\\~É") == "nick[]\\~É")
        #expect(IRCCase.rfc1459.fold("Nick[]\\~É") == "nick{}|^É")
        #expect(IRCCase.strictRFC1459.fold("Nick[]\\~É") == "nick{}|~É")
        #expect(IRCCase.rfc7613.fold("Nick[]\\~É") == "nick[]\\~é")
        #expect(IRCCase(rawValue: "strict-rfc1459") == .strictRFC1459 && IRCCase(rawValue: "other") == nil)
    }

    @Test(arguments: [
        ("plain é", "plain é"), ("\u{2}bold\u{2} \u{1D}i\u{1F}u\u{1E}s\u{11}m\u{16}r\u{F}", "bold iusmr"),
        ("\u{3}4red\u{3}", "red"), ("\u{3}04,12red", "red"), ("\u{3}123", "3"), ("\u{3}4,text", ",text"),
        ("\u{3},5x", ",5x"), ("\u{4}FF00aa,000000x\u{4}", "x"), ("\u{3}", ""), ("!\u{2}st2", "!st2"),
    ])
    func `formatting codes are removed`(_ text: String, _ plain: String) {
        #expect(IRCText.withoutFormatting(text) == plain)
    }

    @Test func `requests of clients are recognized`() {
        #expect(IRCText.request("\u{1}VERSION\u{1}") == IRCText.Request(name: "VERSION", argument: ""))
        #expect(IRCText.request("\u{1}ping 12 34") == IRCText.Request(name: "PING", argument: "12 34"))
        #expect(IRCText.request("\u{1}ACTION !st2 list\u{1}")?.name == "ACTION")
        #expect(IRCText.request("VERSION") == nil && IRCText.request("") == nil)
        #expect(IRCText.response("PING", "1 2") == "\u{1}PING 1 2\u{1}")
    }

    @Test(arguments: [
        ("petrel: help", "help", true), ("PETREL,  help", "help", true), ("petrel help", "petrel help", false),
        ("petrel2: help", "petrel2: help", false), (": help", ": help", false), ("petrel_: x", "x", true),
        ("say petrel: x", "say petrel: x", false), ("petrel:\u{301}x", "\u{301}x", true),
    ])
    func `a message may address the bot by its nick`(_ text: String, _ rest: String, _ isAddressed: Bool) {
        let (words, isMeant) = IRCText.addressed(text, to: ["petrel", "petrel_"], IRCCase.ascii.fold)
        #expect(words.utf8.elementsEqual(rest.utf8) && isMeant == isAddressed)
    }

    @Test func `the flood limit allows a burst, and then one line per interval`() {
        var limit = FloodLimit(lines: 4, in: .seconds(8))
        let start = ContinuousClock.now
        #expect((0..<7).map { _ in limit.reserve(at: start) } == [0, 0, 0, 0, 2, 4, 6].map { .seconds($0) })
        // Time that passes refills the bucket, at most to the size of a burst.
        #expect(limit.reserve(at: start + .seconds(8)) == .zero)
        #expect((0..<5).map { _ in limit.reserve(at: start + .seconds(100)) }.last == .seconds(2))
    }
}
