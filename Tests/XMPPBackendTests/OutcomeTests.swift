import Foundation
import PetrelKit
import PetrelSupport
import Testing
import XMLStream

@testable import XMPPBackend

/// Outcomes of messages, and uploads.
@Suite struct OutcomeTests {
    private static func error(_ condition: String, type: String = "cancel") throws -> StanzaError {
        let children = [
            XMLElement(condition, XMPPNames.stanzaErrors), XMLElement("text", XMPPNames.stanzaErrors, text: "why"),
        ]
        return try #require(
            StanzaError(
                XMLElement("message", "", ["type": "error"], [XMLElement("error", "", ["type": type], children)])))
    }

    @Test(arguments: [
        ("not-acceptable", "cancel", true, true), ("forbidden", "auth", true, false),
        ("resource-constraint", "wait", true, true), ("policy-violation", "modify", false, true),
        ("remote-server-timeout", "wait", false, true), ("service-unavailable", "cancel", false, false),
        ("item-not-found", "cancel", false, false), ("item-not-found", "cancel", true, true),
        ("remote-server-not-found", "cancel", false, true), ("internal-server-error", "wait", false, true),
    ])
    func `a returned message is retried only if that may succeed`(
        _ condition: String, _ type: String, _ isRoom: Bool, _ isTriedAgain: Bool
    ) throws {
        let target = try #require(JID("ops@conference.x"))
        let failure = try Self.error(condition, type: type).failure(of: target, isRoom: isRoom)
        #expect(failure.remedy == (isTriedAgain ? .later(after: nil) : .never))
        #expect(failure.message.contains("ops@conference.x"))
    }

    private static func slot(_ put: String, _ get: String, _ headers: [XMLElement] = []) -> XMPPUpload.Slot? {
        XMPPUpload.slot(
            XMLElement(
                "iq", "", ["type": "result"],
                [
                    XMLElement(
                        "slot", XMPPNames.upload, [:],
                        [XMLElement("put", "", ["url": put], headers), XMLElement("get", "", ["url": get])])
                ]))
    }

    @Test func `files are uploaded only over TLS, with permitted headers only`() throws {
        let headers = [
            XMLElement("header", "", ["name": "Authorization"], text: "Basic x\r\nHost: evil"),
            XMLElement("header", "", ["name": "Host"], text: "evil"),
            XMLElement("header", "", ["name": "Coo\nkie"], text: "a"),
        ]
        let slot = try #require(Self.slot("https://up.x/1", "https://down.x/1", headers))
        #expect(slot.headers.map(\.name) == ["Authorization", "Cookie"])
        #expect(slot.headers[0].value == "Basic xHost: evil")
        #expect(Self.slot("http://up.x/1", "https://down.x/1") == nil)
        #expect(Self.slot("https://up.x:99999/1", "https://down.x/1") == nil)
        #expect(Self.slot("https://up.x/1", "http://down.x/1") == nil)
        #expect(Self.slot("ftp://up.x/1", "https://down.x/1") == nil)
        #expect(Self.slot("http://127.0.0.1:1/1", "http://127.0.0.1:1/1") != nil)
    }

    @Test func `an upload service announces the maximum file size`() throws {
        let jid = try #require(JID("upload.x"))
        func info(_ feature: String, _ limit: String) -> XMLElement {
            let field = XMLElement("field", "", ["var": "max-file-size"], [XMLElement("value", text: limit)])
            return XMLElement(
                "iq", "", [:],
                [
                    XMLElement(
                        "query", XMPPNames.info, [:],
                        [XMLElement("feature", "", ["var": feature]), XMLElement("x", XMPPNames.data, [:], [field])])
                ])
        }
        #expect(XMPPUpload.service(jid, info(XMPPNames.upload, "100")) == .init(jid: jid, mostBytes: 100))
        #expect(XMPPUpload.service(jid, info(XMPPNames.upload, "much")) == .init(jid: jid, mostBytes: nil))
        #expect(XMPPUpload.service(jid, info("something", "100")) == nil)
    }

    @Test func `a text is split before a stanza gets too large, and nothing is lost`() {
        let text = String(repeating: "a&\"👨‍👩‍👧‍👦", count: 1_000)
        let pieces = XMPPContent.pieces(of: text, mostBytes: 4_000)
        #expect(pieces.joined() == text)
        #expect(pieces.allSatisfy { XMLElement.escaped($0).utf8.count <= 4_000 && !$0.isEmpty })
        #expect(pieces.reduce(0) { $0 + $1.count } == text.count)
        #expect(XMPPContent.pieces(of: "short", mostBytes: 4_000) == ["short"])
        // A single grapheme cluster.
        let tower = "a" + String(repeating: "\u{301}", count: 5_000)
        #expect(XMPPContent.pieces(of: tower, mostBytes: 4_000).joined() == tower)
    }

    @Test func `an action may set its own text for XMPP`() throws {
        var reply = Reply("usual", style: .markdown)
        reply.extra = ["xmpp": ["body": "own", "subject": "about", "url": "https://x/1"]]
        let jid = try #require(JID("a@x"))
        let message = try #require(
            XMPPContent.messages(
                XMPPContent.shaped(reply), to: jid, isRoom: false, thread: "t", xhtml: true, mostBytes: 65_536
            ).first)
        #expect(message.child("body")?.text == "own" && message.child("subject")?.text == "about")
        #expect(message.child("x", XMPPNames.outOfBand)?.child("url")?.text == "https://x/1")
        #expect(message.child("thread")?.text == "t" && message.has("html", XMPPNames.xhtmlIM))
    }

    @Test(arguments: [
        ("other.x", "other.x", 5_222), ("other.x:5269", "other.x", 5_269), ("[::1]:1", "::1", 1),
        ("127.0.0.1:2", "127.0.0.1", 2),
    ])
    func `a redirection names a server with or without a port`(_ text: String, _ host: String, _ port: Int) {
        #expect(ServerAddress(text, isDirect: false) == ServerAddress(host: host, port: port, isDirect: false))
        #expect(ServerAddress("", isDirect: false) == nil && ServerAddress("a/b", isDirect: false) == nil)
        // A connection to such a port would end the program.
        for port in ["0", "65536"] { #expect(ServerAddress("other.x:\(port)", isDirect: false) == nil) }
    }

    @Test(arguments: ["  + aws_instance.new\n  - aws_db_instance.prod (destroy)", "rm *.log,*.tmp and a*b*c and 2*3*4"])
    func `plain text is sent verbatim`(_ text: String) throws {
        let jid = try #require(JID("a@x"))
        let messages = XMPPContent.messages(
            XMPPContent.shaped(Reply(text)), to: jid, isRoom: false, thread: nil, xhtml: false, mostBytes: 65_536)
        #expect(messages.map { $0.child("body")?.text } == [text])
    }
}
