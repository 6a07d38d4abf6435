import NIOCore
import NIOWebSocket

/// Puts the frames of one direction together to messages, and finds what is against the protocol (RFC 6455, 5 to 8).
///
/// A value without input and output: it takes frames and says what to do.
struct WebSocketMessages: Sendable {
    enum Step: Sendable, Equatable {
        case text(String)
        case binary(ByteBuffer)
        /// To be answered with a pong of the same bytes.
        case ping(ByteBuffer)
        case pong(ByteBuffer)
        /// The other side closes: to be answered with the same code, or none.
        case closed(code: WebSocketErrorCode?, reason: String)
        /// The connection has to be failed with this code.
        case failed(WebSocketErrorCode, String)
    }

    /// A message of more bytes fails the connection.
    private let longest: Int
    private var begun: (opcode: WebSocketOpcode, bytes: ByteBuffer)?
    private var text = UTF8Check()

    init(longest: Int) {
        self.longest = longest
    }

    /// Nil where more frames are needed.
    mutating func take(_ frame: WebSocketFrame) -> Step? {
        guard !frame.rsv1, !frame.rsv2, !frame.rsv3 else { return .failed(.protocolError, "a reserved bit is set") }
        guard frame.maskKey == nil else { return .failed(.protocolError, "a server does not mask") }
        switch frame.opcode {
        case .ping: return .ping(frame.data)
        case .pong: return .pong(frame.data)
        case .connectionClose: return close(frame.data)
        case .text, .binary:
            guard begun == nil else { return .failed(.protocolError, "a message begins within another") }
            text = UTF8Check()
            begun = (frame.opcode, ByteBuffer())
            return add(frame)
        case .continuation:
            guard begun != nil else { return .failed(.protocolError, "nothing is to be continued") }
            return add(frame)
        default: return .failed(.protocolError, "the opcode is unknown")
        }
    }

    private mutating func add(_ frame: WebSocketFrame) -> Step? {
        guard case (let opcode, var bytes)? = begun else { return nil }
        begun = nil
        var data = frame.data
        guard bytes.readableBytes + data.readableBytes <= longest else {
            return .failed(.messageTooLarge, "a message of more than \(longest) bytes")
        }
        if opcode == .text, !text.take(data.readableBytesView) || (frame.fin && !text.isComplete) {
            return .failed(.dataInconsistentWithMessage, "a text that is no UTF-8")
        }
        if bytes.readableBytes == 0 { bytes = data } else { bytes.writeBuffer(&data) }
        guard frame.fin else {
            begun = (opcode, bytes)
            return nil
        }
        return opcode == .text ? .text(String(buffer: bytes)) : .binary(bytes)
    }

    private func close(_ data: ByteBuffer) -> Step {
        var data = data
        guard data.readableBytes > 0 else { return .closed(code: nil, reason: "") }
        guard let number = data.readInteger(as: UInt16.self), Self.mayBeSent(number) else {
            return .failed(.protocolError, "the connection is closed with a code that must not be sent")
        }
        var text = UTF8Check()
        guard text.take(data.readableBytesView), text.isComplete else {
            return .failed(.dataInconsistentWithMessage, "a reason that is no UTF-8")
        }
        return .closed(code: WebSocketErrorCode(codeNumber: Int(number)), reason: String(buffer: data))
    }

    /// RFC 6455, 7.4, and the registry that it set up.
    private static func mayBeSent(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}

/// Whether bytes that come in pieces are UTF-8 (RFC 3629, 4), as early as can be told.
struct UTF8Check: Sendable {
    /// Bytes that are still to come of the character that has begun.
    private var missing = 0
    /// What the next of them may be.
    private var range: ClosedRange<UInt8> = 0x80...0xBF

    /// No character is left half.
    var isComplete: Bool { missing == 0 }

    /// False from the first byte on that cannot be.
    mutating func take(_ bytes: some Sequence<UInt8>) -> Bool {
        for byte in bytes {
            if missing > 0 {
                guard range.contains(byte) else { return false }
                missing -= 1
                range = 0x80...0xBF
            } else if !begin(byte) {
                return false
            }
        }
        return true
    }

    private mutating func begin(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x00...0x7F: return true
        case 0xC2...0xDF: missing = 1
        case 0xE0...0xEF: missing = 2
        case 0xF0...0xF4: missing = 3
        default: return false
        }
        switch byte {
        case 0xE0: range = 0xA0...0xBF
        case 0xED: range = 0x80...0x9F
        case 0xF0: range = 0x90...0xBF
        case 0xF4: range = 0x80...0x8F
        default: break
        }
        return true
    }
}
