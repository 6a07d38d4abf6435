import Crypto
import Foundation

/// The opening handshake of a client (RFC 6455, 4.1): creates the request and validates the response.
struct WebSocketHandshake: Sendable {
    enum Outcome: Equatable {
        /// More bytes are needed.
        case incomplete
        /// The handshake is complete; `rest` contains the first bytes of the WebSocket.
        case open(rest: ArraySlice<UInt8>)
        case refused(String)
    }

    /// The maximum size of the response head, in bytes.
    static let longest = 16 << 10

    let request: [UInt8]
    private let key: String
    private var received: [UInt8] = []

    /// - Parameters:
    ///   - authority: the host, with the port unless it is the default port of the scheme.
    ///   - path: the path with the query.
    ///   - nonce: 16 random bytes.
    init(authority: String, path: String, nonce: [UInt8]) {
        key = Data(nonce).base64EncodedString()
        let lines = [
            "GET \(path) HTTP/1.1", "Host: \(authority)", "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Key: \(key)", "Sec-WebSocket-Version: 13", "", "",
        ]
        request = Array(lines.joined(separator: "\r\n").utf8)
    }

    /// Processes received bytes.
    mutating func take(_ bytes: some Collection<UInt8>) -> Outcome {
        received += bytes
        guard let end = received.firstRange(of: [13, 10, 13, 10]) else {
            return received.count > Self.longest ? .refused("the handshake response is too long") : .incomplete
        }
        let head = String(decoding: received[..<end.lowerBound], as: UTF8.self)
        if let problem = problem(in: head) { return .refused(problem) }
        return .open(rest: received[end.upperBound...])
    }

    private func problem(in head: String) -> String? {
        let lines = head.split(separator: "\r\n", omittingEmptySubsequences: false)
        let status = lines[0].split(separator: " ", maxSplits: 2)
        guard status.count >= 2, status[0].hasPrefix("HTTP/1."), let code = Int(status[1]) else {
            return "the handshake response is not HTTP"
        }
        guard code == 101 else { return "the server rejected the handshake with status \(code)" }
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            let value = parts[1].trimmingCharacters(in: .whitespaces)
            let name = parts[0].lowercased()
            fields[name] = fields[name].map { "\($0),\(value)" } ?? value
        }
        func has(_ token: String, in name: String) -> Bool {
            fields[name, default: ""].split(separator: ",").contains {
                $0.trimmingCharacters(in: .whitespaces).lowercased() == token
            }
        }
        guard has("websocket", in: "upgrade"), has("upgrade", in: "connection") else {
            return "the handshake response is not an upgrade to WebSocket"
        }
        guard fields["sec-websocket-accept"] == Self.acceptance(of: key) else {
            return "the handshake response belongs to another handshake"
        }
        guard fields["sec-websocket-extensions"] == nil, fields["sec-websocket-protocol"] == nil else {
            return "the server selected an extension or a subprotocol that was not offered"
        }
        return nil
    }

    /// Returns the `Sec-WebSocket-Accept` value for a key, which proves that the server has read the request.
    static func acceptance(of key: String) -> String {
        let digest = Insecure.SHA1.hash(data: Data((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))
        return Data(digest).base64EncodedString()
    }
}
