import Testing

@testable import SlackBackend

@Suite struct HandshakeTests {
    /// The nonce of RFC 6455, 1.3.
    private static func handshake() -> WebSocketHandshake {
        WebSocketHandshake(authority: "server.example.com", path: "/chat?a=b", nonce: Array("the sample nonce".utf8))
    }

    private static let right = """
        HTTP/1.1 101 Switching Protocols\r
        Upgrade: websocket\r
        Connection: keep-alive, Upgrade\r
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r
        \r

        """

    @Test func `the example of the RFC is accepted, also in parts, and the remaining bytes are returned`() {
        var handshake = Self.handshake()
        #expect(String(decoding: handshake.request, as: UTF8.self).contains("Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"))
        #expect(handshake.take(Array((Self.right + "rest").utf8)) == .open(rest: ArraySlice("rest".utf8)))
        handshake = Self.handshake()
        let bytes = Array(Self.right.utf8)
        for byte in bytes.dropLast() { #expect(handshake.take([byte]) == .incomplete) }
        #expect(handshake.take([10]) == .open(rest: []))
    }

    @Test(arguments: [
        ("HTTP/1.1 101", "HTTP/1.1 403", "status 403"), ("HTTP/1.1 101", "SSH-2.0-x 101", "HTTP"),
        ("Upgrade: websocket", "Upgrade: h2c", "upgrade"), ("keep-alive, Upgrade", "close", "upgrade"),
        ("s3pP", "xxxx", "another handshake"),
        ("Upgrade: websocket", "Upgrade: websocket\r\nSec-WebSocket-Extensions: x", "extension"),
    ]) func `an invalid response is refused with the reason`(part: String, other: String, reason: String) {
        var handshake = Self.handshake()
        let outcome = handshake.take(Array(Self.right.replacing(part, with: other).utf8))
        guard case .refused(let problem) = outcome else { return #expect(Bool(false), "\(outcome)") }
        #expect(problem.contains(reason))
    }

    @Test func `a response that does not end is refused`() {
        var handshake = Self.handshake()
        let outcome = handshake.take([UInt8](repeating: 120, count: WebSocketHandshake.longest + 1))
        #expect(outcome == .refused("the handshake response is too long"))
    }
}
