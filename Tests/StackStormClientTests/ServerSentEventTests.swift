import Foundation
import PetrelKit
import PetrelSupport
import Testing

@testable import StackStormClient

@Suite struct ServerSentEventTests {
    private typealias Item = ServerSentEventParser.Item

    private static func event(_ name: String, _ data: String) -> Item {
        .event(ServerSentEvent(name: name, data: Array(data.utf8)))
    }

    /// The body of a stream that was recorded through nginx.
    private static func body(_ name: String) -> [UInt8] {
        let text = String(decoding: Recording.data("stream/\(name).sse"), as: UTF8.self)
        let body = text.replacingOccurrences(of: "\r\n", with: "\n").components(separatedBy: "\n\n").dropFirst()
        return Array(body.joined(separator: "\n\n").utf8)
    }

    @Test(arguments: [1, 2, 3, 7, 64, 4_096, .max]) func `reads a recorded stream in chunks of any size`(size: Int)
        throws
    {
        let bytes = Self.body("stream_errbot")
        var parser = ServerSentEventParser()
        var items: [Item] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            items += parser.feed(rest.prefix(size))
            rest = rest.dropFirst(size)
        }
        let expected = String(decoding: bytes, as: UTF8.self).components(separatedBy: "event: ").count - 1
        #expect(items.count == expected)
        #expect(expected > 10)
        for case .event(let event) in items {
            #expect(event.name == "st2.announcement__errbot")
            let json = try JSONValue.parse(event.data)
            #expect(json["payload"]?.object != nil)
        }
    }

    @Test func `follows the specification`() {
        var parser = ServerSentEventParser()
        let text =
            "\u{FEFF}: comment\r\nevent: a\r\ndata: one\r\ndata:two\r\n\r\ndata\n\nevent: b\n\nretry: 1000\rdata: x\r\r"
        #expect(
            parser.feed(text.utf8) == [
                Self.event("a", "one\ntwo"), Self.event("message", ""), .retry(1_000), Self.event("message", "x"),
            ])
    }

    @Test func `a line break that is split over two chunks is one line break`() {
        var parser = ServerSentEventParser()
        #expect(parser.feed("data: a\r".utf8).isEmpty)
        #expect(parser.feed("\ndata: b\r".utf8).isEmpty)
        #expect(parser.feed("\n\r".utf8) == [Self.event("message", "a\nb")])
        #expect(parser.feed("\ndata: c\n\n".utf8) == [Self.event("message", "c")])
    }

    @Test(arguments: [1, 10, 1_000]) func `an event beyond the limit does not affect others`(size: Int) {
        var parser = ServerSentEventParser(limit: 100)
        var items: [Item] = []
        let text = "event: big\ndata: \(String(repeating: "x", count: 500))\n\nevent: small\ndata: y\n\n"
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            items += parser.feed(rest.prefix(size))
            rest = rest.dropFirst(size)
        }
        #expect(items.count == 2)
        guard case .oversized(name: "big", bytes: _)? = items.first else {
            Issue.record("\(items)")
            return
        }
        #expect(items.last == Self.event("small", "y"))
    }

    @Test func `the response of nginx for a dead stream service is recognised`() {
        var parser = ServerSentEventParser()
        let body = RecordedExchange.named("down_stream_200_retry").response.body
        #expect(parser.feed(body) == [.retry(1_000)])
    }
}
