import NIOCore
import NIOWebSocket
import PetrelKit
import PetrelSupport

/// The client side of an open WebSocket connection (RFC 6455).
struct WebSocket: Sendable {
    enum Message: Sendable, Equatable {
        case text(String)
        case binary(ByteBuffer)
    }

    /// The reason why a connection ended.
    struct Ending: Error, CustomStringConvertible, Sendable, Equatable {
        /// The close code; nil if the peer sent none or the connection was lost.
        var code: Int?
        var reason: String

        var description: String {
            code.map { "closed with code \($0)\(reason.isEmpty ? "" : ", \(reason)")" } ?? reason
        }
    }

    struct Limits: Sendable {
        /// The maximum size of a message, in bytes.
        var message = 8 << 20
        /// The timeout for opening a connection, from the name lookup to the handshake response.
        var handshake = Duration.seconds(10)
        /// The time without data after which a ping is sent. The connection is dropped after the same time without a
        /// response.
        var silence = Duration.seconds(20)
        /// The time that the peer has for closing the connection after a close frame.
        var closing = Duration.seconds(3)

        init() {}
    }

    private let outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
    /// Opens when a close frame has been sent.
    private let leaving = Signal()
    private let ending: Locked<Ending?>
    private let heard = Locked(ContinuousClock.now)

    private init(_ outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>, _ ending: Locked<Ending?>) {
        self.outbound = outbound
        self.ending = ending
    }

    /// Sends a message. Throws ``Ending`` if the connection was lost.
    func send(_ message: Message) async throws {
        switch message {
        case .text(let text): try await write(.text, ByteBuffer(string: text))
        case .binary(let bytes): try await write(.binary, bytes)
        }
    }

    private func write(_ opcode: WebSocketOpcode, _ data: ByteBuffer) async throws {
        do {
            try await outbound.write(WebSocketFrame(fin: true, opcode: opcode, maskKey: .random(), data: data))
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            throw Ending(code: nil, reason: "the connection was lost: \(error)")
        }
    }

    private func writeClose(_ code: WebSocketErrorCode?, _ reason: String) async throws {
        var data = ByteBuffer()
        if let code {
            data.write(webSocketErrorCode: code)
            data.writeString(reason)
        }
        try await write(.connectionClose, data)
    }
}

extension WebSocket {
    /// Passes messages to `take`, one at a time, until the connection ends or the task is cancelled. Rethrows errors of
    /// `take`.
    static func run(
        _ channel: NIOAsyncChannel<WebSocketFrame, WebSocketFrame>, _ limits: Limits,
        take: @escaping @Sendable (Message, WebSocket) async throws -> Void
    ) async throws -> Ending {
        let ended = Locked<Ending?>(nil)
        do {
            return try await channel.executeThenClose { inbound, outbound in
                let socket = WebSocket(outbound, ended)
                return try await withThrowingTaskGroup(of: Ending.self) { group in
                    group.addTask { try await socket.read(inbound, limits, take) }
                    group.addTask { try await socket.watch(limits.silence) }
                    group.addTask { try await socket.leave(limits.closing) }
                    defer { group.cancelAll() }
                    let ending = try await group.next()
                    guard let ending = ended.value ?? ending else { throw CancellationError() }
                    return ending
                }
            }
        } catch let refusal as HandlerFailure {
            throw refusal.cause
        } catch is CancellationError {
            throw CancellationError()
        } catch let ending as Ending {
            return ended.value ?? ending
        } catch {
            return ended.value ?? Ending(code: nil, reason: "the connection was lost: \(error)")
        }
    }

    /// An error of the message handler, as opposed to one of the connection.
    private struct HandlerFailure: Error {
        var cause: any Error
    }

    private func read(
        _ frames: NIOAsyncChannelInboundStream<WebSocketFrame>, _ limits: Limits,
        _ take: @Sendable (Message, WebSocket) async throws -> Void
    ) async throws -> Ending {
        var messages = WebSocketMessages(longest: limits.message)
        for try await frame in frames {
            heard.withLock { $0 = .now }
            // After the close frames, the server closes the connection (RFC 6455, 7.1.1).
            if ending.value != nil { continue }
            switch messages.take(frame) {
            case nil, .pong: continue
            case .text(let text): try await hand(.text(text), to: take)
            case .binary(let bytes): try await hand(.binary(bytes), to: take)
            case .ping(let data): try await write(.pong, data)
            case .closed(let code, let reason):
                try await end(Ending(code: code.map { Int(UInt16(webSocketErrorCode: $0)) }, reason: reason), code, "")
            case .failed(let code, let problem):
                try await end(Ending(code: nil, reason: problem), code, problem)
            }
        }
        return Ending(code: nil, reason: "the connection was lost")
    }

    private func hand(
        _ message: Message, to take: @Sendable (Message, WebSocket) async throws -> Void
    ) async throws {
        do {
            try await take(message, self)
        } catch let ending as Ending {
            throw ending
        } catch {
            throw HandlerFailure(cause: error)
        }
    }

    private func end(_ how: Ending, _ code: WebSocketErrorCode?, _ reason: String) async throws {
        ending.withLock { $0 = how }
        try await writeClose(code, reason)
        leaving.open()
    }

    /// Sends a ping after a period without data, and returns when the peer does not respond to it.
    private func watch(_ silence: Duration) async throws -> Ending {
        while true {
            let last = heard.value
            let pause = silence - last.duration(to: .now)
            if pause > .zero {
                try await Task.sleep(for: pause)
                continue
            }
            try await write(.ping, ByteBuffer())
            try await Task.sleep(for: silence)
            guard heard.value > last else {
                return Ending(code: nil, reason: "no data was received for \(silence * 2)")
            }
        }
    }

    private func leave(_ patience: Duration) async throws -> Ending {
        await leaving.wait()
        try Task.checkCancellation()
        try await Task.sleep(for: patience)
        return Ending(code: nil, reason: "the peer did not close the connection")
    }
}
