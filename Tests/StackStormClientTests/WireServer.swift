import NIOCore
import NIOPosix
import PetrelKit
import PetrelSupport

/// A server that sends a given sequence of bytes for each request. Requests must not have a body.
final class WireServer: Sendable {
    enum Answer: Sendable {
        case text(String)
        /// Sends the text when the signal opens.
        case after(Signal, String)
        /// Sends the text and closes the connection for writing.
        case last(String)
        case reset
        case nothing
    }

    private struct State {
        var connections = 0
        var requests = 0
        var closed = 0
        var channels: [any Channel] = []
        var waiters: [(isMet: @Sendable (State) -> Bool, signal: Signal)] = []
    }

    private let answer: @Sendable (_ request: Int) -> Answer
    private let state = Locked(State())

    private init(answer: @escaping @Sendable (_ request: Int) -> Answer) { self.answer = answer }

    /// Runs a server.
    ///
    /// - Parameter answer: A function that returns the response to the n-th request, counted from 1 over all
    ///   connections.
    static func run(
        answer: @escaping @Sendable (_ request: Int) -> Answer,
        _ work: (_ server: WireServer, _ port: Int) async throws -> Void
    ) async throws {
        let server = WireServer(answer: answer)
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 256)
            .childChannelOption(.allowRemoteHalfClosure, value: false)
            .childChannelInitializer { child in
                server.change { state in
                    state.connections += 1
                    state.channels.append(child)
                }
                child.closeFuture.whenComplete { _ in server.change { $0.closed += 1 } }
                return child.eventLoop.makeCompletedFuture {
                    try child.pipeline.syncOperations.addHandler(Talk(server))
                }
            }.bind(host: "127.0.0.1", port: 0).get()
        do {
            try await work(server, channel.localAddress?.port ?? 0)
        } catch {
            try await channel.close()
            throw error
        }
        try await channel.close()
    }

    var connections: Int { state.value.connections }
    var requests: Int { state.value.requests }

    /// Sends more bytes on the n-th connection, counted from 1.
    func say(_ text: String, on connection: Int) async throws {
        try await state.value.channels[connection - 1].writeAndFlush(ByteBuffer(string: text))
    }

    func reached(connections: Int) async { await wait { $0.connections >= connections } }
    func reached(requests: Int) async { await wait { $0.requests >= requests } }
    func reached(closed: Int) async { await wait { $0.closed >= closed } }

    private func wait(_ isMet: @escaping @Sendable (State) -> Bool) async {
        let signal = Signal()
        change { $0.waiters.append((isMet, signal)) }
        await signal.wait()
    }

    private func change(_ change: (inout State) -> Void) {
        let met = state.withLock { state in
            change(&state)
            let now = state
            let met = now.waiters.filter { $0.isMet(now) }
            state.waiters = now.waiters.filter { !$0.isMet(now) }
            return met.map(\.signal)
        }
        for signal in met { signal.open() }
    }

    private func next() -> Answer {
        let number = state.withLock { $0.requests + 1 }
        change { $0.requests += 1 }
        return answer(number)
    }

    private final class Talk: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let server: WireServer
        private var text = ""

        init(_ server: WireServer) { self.server = server }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            text += String(buffer: unwrapInboundIn(data))
            guard text.hasSuffix("\r\n\r\n") else { return }
            text = ""
            let channel = context.channel
            switch server.next() {
            case .text(let text): channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
            case .after(let signal, let text):
                Task {
                    await signal.wait()
                    try await channel.writeAndFlush(ByteBuffer(string: text))
                }
            case .last(let text):
                channel.writeAndFlush(ByteBuffer(string: text)).whenComplete { _ in
                    channel.close(mode: .output, promise: nil)
                }
            case .reset: channel.close(promise: nil)
            case .nothing: break
            }
        }
    }
}
