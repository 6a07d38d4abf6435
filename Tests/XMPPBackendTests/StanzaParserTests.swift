import Testing
import XMLStream

@testable import XMPPBackend

/// Parsing of streams and JIDs.
@Suite struct StanzaParserTests {
    private static let header =
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='s1'>"

    private static func items(_ text: String, piece: Int = .max) throws -> [StanzaParser.Item] {
        var parser = StanzaParser()
        var items: [StanzaParser.Item] = []
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            items += try parser.feed(rest.prefix(piece))
            rest = rest.dropFirst(piece)
        }
        return items
    }

    @Test(arguments: [1, 2, 7, 1_000]) func `parsing does not depend on how the bytes are split`(piece: Int) throws {
        let text =
            Self.header + "\n <message from='a@b/c' xml:lang='de'><body>1 &lt; 2 &amp; “ü” 🎉</body></message> "
            + "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq></stream:stream>"
        let items = try Self.items(text, piece: piece)
        #expect(items.count == 4 && items.last == .closed)
        guard case .opened(let stream) = items[0], case .stanza(let message) = items[1], case .stanza(let iq) = items[2]
        else { return #expect(Bool(false)) }
        #expect(stream["id"] == "s1" && stream.namespace == XMPPNames.streams)
        #expect(message.child("body")?.text == "1 < 2 & “ü” 🎉" && message["from"] == "a@b/c")
        #expect(message.namespace == XMPPNames.client)
        #expect(iq.child("ping", XMPPNames.ping) != nil)
    }

    @Test(arguments: [1, 5, 1_000]) func `elements at a depth are returned one by one`(piece: Int) throws {
        var limits = StanzaParser.Limits()
        limits.level = 2
        var parser = StanzaParser(limits)
        var items: [StanzaParser.Item] = []
        var rest = Array("<r><a>1</a> <b><c>2</c>x<c><d>3</d></c></b><e/><f><g/></f></r>".utf8)[...]
        while !rest.isEmpty {
            items += try parser.feed(rest.prefix(piece))
            rest = rest.dropFirst(piece)
        }
        let inner = XMLElement("c", "", [:], [XMLElement("d", text: "3")])
        let stanzas = [
            XMLElement("a", text: "1"), XMLElement("c", text: "2"), inner, XMLElement("e"), XMLElement("g"),
        ]
        #expect(items == [.opened(XMLElement("r"))] + stanzas.map { .stanza($0) } + [.closed])
    }

    @Test(
        arguments: [
            ("<!DOCTYPE x [<!ENTITY a 'b'>]>", "restricted-xml"),
            (
                "<!DOCTYPE lolz [<!ENTITY l 'lol'><!ENTITY m '&l;&l;&l;&l;&l;&l;&l;&l;&l;&l;'>]><lolz>&m;</lolz>",
                "restricted-xml"
            ),
            (header + "<message><!-- hidden --></message>", "restricted-xml"),
            (header + "<message><?php x ?></message>", "restricted-xml"),
            (header + "<message>&unknown;</message>", "not-well-formed"),
            (header + "<message></iq>", "not-well-formed"), (header + "<message a='1' a='2'/>", "not-well-formed"),
            ("no xml", "not-well-formed"), (header + "<message>\u{1}</message>", "not-well-formed"),
            (header + "<message><body>" + String(repeating: "x", count: 3 << 20), "policy-violation"),
            (header + "<message a='" + String(repeating: "x", count: 3 << 20), "policy-violation"),
        ]) func `prohibited and malformed XML fails the stream`(text: String, condition: String)
    {
        #expect { try Self.items(text, piece: 1_000) } throws: { error in
            (error as? StanzaParser.Failure)?.condition == condition
        }
    }

    @Test(arguments: [
        String(repeating: "<a>", count: 10_000) + String(repeating: "</a>", count: 10_000),
        "<a " + (0..<100).map { "a\($0)='1'" }.joined(separator: " ") + "><b/></a>",
        "<body>" + String(repeating: "x", count: 3 << 19) + "</body>",
    ]) func `the content of a stanza that exceeds a limit is dropped`(content: String) throws {
        let text = Self.header + "<message id='1'><c>kept</c>\(content)</message><iq id='2'/>"
        let items = try Self.items(text, piece: 1_000).dropFirst()
        let shell = XMLElement("message", XMPPNames.client, ["id": "1"])
        #expect(Array(items) == [.stanza(shell), .stanza(XMLElement("iq", XMPPNames.client, ["id": "2"]))])
    }

    @Test(arguments: 1...4) func `a stream in another encoding is rejected`(piece: Int) {
        let text: [UInt8] = [0x09, 0x00, 0x0A, 0x00]
        #expect(throws: StanzaParser.Failure(condition: "unsupported-encoding", reason: "not UTF-8")) {
            var parser = StanzaParser()
            for start in stride(from: 0, to: text.count, by: piece) {
                _ = try parser.feed(text[start..<min(start + piece, text.count)])
            }
        }
    }

    @Test func `invalid UTF-8 fails the stream`() {
        var parser = StanzaParser()
        do throws(StanzaParser.Failure) {
            let bytes = Array(Self.header.utf8) + Array("<message>".utf8) + [0xFF, 0xFE] + Array("</message>".utf8)
            let items = try parser.feed(bytes)
            Issue.record("\(items) was read")
        } catch {
            #expect(error.condition == "not-well-formed")
        }
    }

    @Test func `the size limit applies to each stanza`() throws {
        var parser = StanzaParser()
        _ = try parser.feed(Array(Self.header.utf8))
        let stanza = Array(("<message><body>" + String(repeating: "&lt;", count: 10_000) + "</body></message>\n").utf8)
        var count = 0
        for _ in 0..<100 { count += try parser.feed(stanza).count }
        #expect(count == 100)
    }

    @Test func `a written element is parsed to the same content`() throws {
        let element = XMLElement(
            "message", "", ["to": "a'b\"<>&@c", "left out": nil].filter { $0.key == "to" },
            [
                XMLElement("body", text: "1 < 2 & 'x' \"y\" \r\n\t\u{0}\u{8}\u{FFFE} 🎉 ]]>"),
                XMLElement("x", XMPPNames.mucUser, [:], [XMLElement("item")]),
            ])
        guard case .stanza(let read)? = try Self.items(Self.header + element.xml(in: XMPPNames.client)).last else {
            return #expect(Bool(false))
        }
        #expect(read["to"] == "a'b\"<>&@c")
        #expect(read.child("body")?.text == "1 < 2 & 'x' \"y\" \r\n\t 🎉 ]]>")
        #expect(read.child("body")?.namespace == XMPPNames.client)
        #expect(read.child("x", XMPPNames.mucUser)?.child("item")?.namespace == XMPPNames.mucUser)
    }

    @Test(
        arguments: [
            ("Alice@Example.COM/Phone", "alice@example.com/Phone"), ("example.com", "example.com"),
            ("a@b/c/d@e", "a@b/c/d@e"), ("evil.org/\u{301}x@example.com", "evil.org/\u{301}x@example.com"),
            ("room@conference.x/nick with spaces", "room@conference.x/nick with spaces"),
        ]) func `JIDs are normalized`(text: String, written: String)
    {
        #expect(JID(text)?.description == written)
    }

    @Test(arguments: ["", "@b", "a@", "a@b/", "a@b@c", "a\u{0}@b", String(repeating: "x", count: 1_024)])
    func `invalid JIDs are rejected`(text: String) { #expect(JID(text) == nil) }
}
