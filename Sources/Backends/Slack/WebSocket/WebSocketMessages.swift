import NIOCore
import NIOWebSocket

/// Assembles received frames into messages, and detects protocol violations (RFC 6455, 5 to 8).
///
/// Performs no I/O: the caller passes frames and performs the returned steps.
struct WebSocketMessages: Sendable {
    enum Step: Sendable, Equatable {
        case text(String)
        case binary(ByteBuffer)
        /// A ping, which requires a pong with the same bytes.
        case ping(ByteBuffer)
        case pong(ByteBuffer)
        /// A close frame, which requires a close frame with the same code, or without one.
        case closed(code: WebSocketErrorCode?, reason: String)
        /// A protocol violation: the connection must be failed with this code.
        case failed(WebSocketErrorCode, String)
    }

    /// The maximum size of a message, in bytes. A longer one fails the connection.
    private let longest: Int
    private var begun: (opcode: WebSocketOpcode, bytes: ByteBuffer)?
    private var text = UTF8Check()

    init(longest: Int) {
        self.longest = longest
    }

    /// Processes a frame. Returns nil if a message needs more frames.
    mutating func take(_ frame: WebSocketFrame) -> Step? {
        guard !frame.rsv1, !frame.rsv2, !frame.rsv3 else { return .failed(.protocolError, "a reserved bit is set") }
        guard frame.maskKey == nil else { return .failed(.protocolError, "a frame of the server is masked") }
        switch frame.opcode {
        case .ping: return .ping(frame.data)
        case .pong: return .pong(frame.data)
        case .connectionClose: return close(frame.data)
        case .text, .binary:
            guard begun == nil else {
                return .failed(.protocolError, "a message begins before the previous one has ended")
            }
            text = UTF8Check()
            begun = (frame.opcode, ByteBuffer())
            return add(frame)
        case .continuation:
            guard begun != nil else {
                return .failed(.protocolError, "a continuation frame does not continue a message")
            }
            return add(frame)
        default: return .failed(.protocolError, "a frame has an unknown opcode")
        }
    }

    private mutating func add(_ frame: WebSocketFrame) -> Step? {
        guard case (let opcode, var bytes)? = begun else { return nil }
        begun = nil
        var data = frame.data
        guard bytes.readableBytes + data.readableBytes <= longest else {
            return .failed(.messageTooLarge, "a message is larger than \(longest) bytes")
        }
        if opcode == .text, !text.take(data.readableBytesView) || (frame.fin && !text.isComplete) {
            return .failed(.dataInconsistentWithMessage, "a text message is not valid UTF-8")
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
            return .failed(.protocolError, "the code of a close frame is invalid")
        }
        var text = UTF8Check()
        guard text.take(data.readableBytesView), text.isComplete else {
            return .failed(.dataInconsistentWithMessage, "the reason of a close frame is not valid UTF-8")
        }
        return .closed(code: WebSocketErrorCode(codeNumber: Int(number)), reason: String(buffer: data))
    }

    /// Returns true if a close frame may contain a code (RFC 6455, 7.4, and the IANA registry of close codes).
    private static func mayBeSent(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}

/// An incremental UTF-8 validator (RFC 3629, 4) that rejects invalid input at the earliest possible byte.
struct UTF8Check: Sendable {
    /// The number of missing bytes of the current character.
    private var missing = 0
    /// The valid values of the next byte.
    private var range: ClosedRange<UInt8> = 0x80...0xBF

    /// True if the input does not end within a character.
    var isComplete: Bool { missing == 0 }

    /// Validates more bytes. Returns false if a byte is invalid.
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
