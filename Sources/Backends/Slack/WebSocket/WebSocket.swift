import NIOCore
import NIOWebSocket
import PetrelKit
import PetrelSupport

/// One open WebSocket of a client (RFC 6455).
struct WebSocket: Sendable {
    enum Message: Sendable, Equatable {
        case text(String)
        case binary(ByteBuffer)
    }

    /// How it ended.
    struct Ending: Error, CustomStringConvertible, Sendable, Equatable {
        /// Nil where no code came, or the connection just broke.
        var code: Int?
        var reason: String

        var description: String {
            code.map { "closed with code \($0)\(reason.isEmpty ? "" : ", \(reason)")" } ?? reason
        }
    }

    struct Limits: Sendable {
        /// Bytes of one message that is taken.
        var message = 8 << 20
        /// From the look-up of the name to the answer of the handshake.
        var handshake = Duration.seconds(10)
        /// When nothing was heard for so long the other side is asked, and left after as long again.
        var silence = Duration.seconds(20)
        /// How long the other side may take to take leave.
        var closing = Duration.seconds(3)

        init() {}
    }

    private let outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
    /// The other side has taken leave, or has to be left.
    private let leaving = Signal()
    private let ending: Locked<Ending?>
    private let heard = Locked(ContinuousClock.now)

    private init(_ outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>, _ ending: Locked<Ending?>) {
        self.outbound = outbound
        self.ending = ending
    }

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
            throw Ending(code: nil, reason: "the connection broke: \(error)")
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
    /// Hands over each message, one after the other, until the connection ends or this task is cancelled.
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
        } catch let refusal as NotTaken {
            throw refusal.cause
        } catch is CancellationError {
            throw CancellationError()
        } catch let ending as Ending {
            return ended.value ?? ending
        } catch {
            return ended.value ?? Ending(code: nil, reason: "the connection broke: \(error)")
        }
    }

    /// Who takes the messages failed, not the connection.
    private struct NotTaken: Error {
        var cause: any Error
    }

    private func read(
        _ frames: NIOAsyncChannelInboundStream<WebSocketFrame>, _ limits: Limits,
        _ take: @Sendable (Message, WebSocket) async throws -> Void
    ) async throws -> Ending {
        var messages = WebSocketMessages(longest: limits.message)
        for try await frame in frames {
            heard.withLock { $0 = .now }
            // It is the server that closes the connection then (RFC 6455, 7.1.1).
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
        return Ending(code: nil, reason: "the connection broke")
    }

    private func hand(
        _ message: Message, to take: @Sendable (Message, WebSocket) async throws -> Void
    ) async throws {
        do {
            try await take(message, self)
        } catch let ending as Ending {
            throw ending
        } catch {
            throw NotTaken(cause: error)
        }
    }

    private func end(_ how: Ending, _ code: WebSocketErrorCode?, _ reason: String) async throws {
        ending.withLock { $0 = how }
        try await writeClose(code, reason)
        leaving.open()
    }

    /// Asks whether the other side is there when it was silent for long, and returns when it is silent to that.
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
            guard heard.value > last else { return Ending(code: nil, reason: "nothing was heard for \(silence * 2)") }
        }
    }

    private func leave(_ patience: Duration) async throws -> Ending {
        await leaving.wait()
        try Task.checkCancellation()
        try await Task.sleep(for: patience)
        return Ending(code: nil, reason: "the other side did not take leave")
    }
}
