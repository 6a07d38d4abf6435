import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTPTypes
import Testing

@testable import PetrelWeb

@Suite struct ConnectionTests {
    private static let start = ContinuousClock.now

    private static func limits(_ most: Int, _ ofAddress: Int) -> WebLimits {
        var limits = WebLimits()
        (limits.connections, limits.connectionsOfAddress) = (most, ofAddress)
        return limits
    }

    @Test func `an address over its limit loses its longest waiting connection`() {
        var book = ConnectionBook(Self.limits(10, 2))
        let seen = [(1, "a"), (2, "b"), (3, "a"), (4, "a")].map { number, address in
            book.open(number, from: address, at: Self.start + .seconds(number))
        }
        #expect(seen == [.admitted, .admitted, .admitted, .instead(of: 1)])
        #expect(book.count == 3)
    }

    @Test func `a connection with a response in progress is not closed for another`() {
        var book = ConnectionBook(Self.limits(10, 2))
        for number in 1...2 { _ = book.open(number, from: "a", at: Self.start) }
        for number in 1...2 { book.note(number, isWaiting: false, at: Self.start) }
        let refused = book.open(3, from: "a", at: Self.start)
        book.note(2, isWaiting: true, at: Self.start + .seconds(1))
        let admitted = book.open(4, from: "a", at: Self.start + .seconds(2))
        #expect([refused, admitted] == [.refused, .instead(of: 2)])
    }

    @Test func `data of a body does not reset the waiting time`() {
        var book = ConnectionBook(Self.limits(2, 9))
        for number in 1...2 { _ = book.open(number, from: "a\(number)", at: Self.start + .seconds(number)) }
        book.note(1, isWaiting: true, at: Self.start + .seconds(50))
        let seen = book.open(3, from: "b", at: Self.start + .seconds(60))
        #expect(seen == .instead(of: 1))
    }

    @Test func `the limit for addresses does not apply to a trusted proxy`() {
        var book = ConnectionBook(Self.limits(100, 2))
        let seen = (1...50).map { book.open($0, from: nil, at: Self.start) }
        #expect(seen.allSatisfy { $0 == .admitted })
    }

    /// Returns a connection on an event loop whose time the test controls.
    private static func connection(_ limits: WebLimits = WebLimits()) throws -> EmbeddedChannel {
        let connections = Connections(limits, proxies: nil)
        let channel = EmbeddedChannel(handler: ConnectionGuard(connections, limits))
        channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 1), promise: nil)
        return channel
    }

    private static let head = HTTPRequestPart.head(
        HTTPRequest(method: .post, scheme: "http", authority: "x", path: "/"))

    @Test func `a request head must arrive within ten seconds`() throws {
        let channel = try Self.connection()
        channel.embeddedEventLoop.advanceTime(by: .seconds(9))
        #expect(channel.isActive)
        channel.embeddedEventLoop.advanceTime(by: .seconds(2))
        #expect(!channel.isActive)
    }

    @Test func `single bytes do not extend the time limit of a body`() throws {
        let channel = try Self.connection()
        try channel.writeInbound(Self.head)
        for _ in 0..<2 {
            channel.embeddedEventLoop.advanceTime(by: .seconds(14))
            try channel.writeInbound(HTTPRequestPart.body(ByteBuffer(string: "x")))
            #expect(channel.isActive)
        }
        channel.embeddedEventLoop.advanceTime(by: .seconds(3))
        #expect(!channel.isActive)
    }

    @Test func `a response and the wait for the next request have their own time limits`() throws {
        let channel = try Self.connection()
        try channel.writeInbound(Self.head)
        try channel.writeInbound(HTTPRequestPart.end(nil))
        channel.embeddedEventLoop.advanceTime(by: .seconds(80))
        #expect(channel.isActive)
        try channel.writeOutbound(HTTPResponsePart.head(HTTPResponse(status: .ok)))
        try channel.writeOutbound(HTTPResponsePart.end(nil))
        channel.embeddedEventLoop.advanceTime(by: .seconds(70))
        #expect(channel.isActive)
        channel.embeddedEventLoop.advanceTime(by: .seconds(6))
        #expect(!channel.isActive)
    }

    @Test func `a response before the end of a body does not extend the time limit of the body`() throws {
        let channel = try Self.connection()
        try channel.writeInbound(Self.head)
        channel.embeddedEventLoop.advanceTime(by: .seconds(20))
        try channel.writeOutbound(HTTPResponsePart.head(HTTPResponse(status: .contentTooLarge)))
        try channel.writeOutbound(HTTPResponsePart.end(nil))
        channel.embeddedEventLoop.advanceTime(by: .seconds(11))
        #expect(!channel.isActive)
    }

    @Test func `missing headers are added and existing ones are kept`() throws {
        let channel = EmbeddedChannel(handler: AnswerHeaders(SecurityHeaders.fields(overTLS: true)))
        var own = HTTPResponse(status: .badRequest)
        own.headerFields[.cacheControl] = "private"
        try channel.writeOutbound(HTTPResponsePart.head(own))
        guard case .head(let head) = try channel.readOutbound(as: HTTPResponsePart.self) else {
            Issue.record("no head")
            return
        }
        #expect(head.headerFields[.cacheControl] == "private")
        #expect(head.headerFields[.strictTransportSecurity] == "max-age=31536000; includeSubDomains")
        #expect(head.headerFields[.xContentTypeOptions] == "nosniff")
        #expect(SecurityHeaders.fields(overTLS: false)[.strictTransportSecurity] == nil)
    }

    @Test func `the number of requests in progress of one address is limited`() {
        var open = OpenRequests(most: 2)
        let seen = ["a", "a", "a", "b"].map { open.begin($0) }
        open.end("a")
        let again = open.begin("a")
        #expect(seen == [true, true, false, true] && again)
    }
}
