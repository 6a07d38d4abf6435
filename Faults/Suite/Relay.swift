package import NIOCore
import NIOPosix
import PetrelSupport

/// A relay on loopback between a client and a server, whose connections can be cut.
package final class Relay: Sendable {
    /// The treatment of connections.
    package enum Mode: Sendable {
        /// Connections are relayed.
        case open
        /// New connections are closed at once.
        case cut
        /// New connections are accepted, but nothing is read from them.
        case stalled
    }

    private struct State {
        var mode = Mode.open
        var channels: [ObjectIdentifier: any Channel] = [:]
        /// The number of connections to the server.
        var relayed = 0
    }

    /// The port for the client.
    package let port: Int
    private let listener: any Channel
    private let state: Locked<State>

    /// Runs the body with a relay.
    /// - Parameters:
    ///   - port: the port of the server on loopback.
    ///   - configure: a closure that adds handlers to the channel of each client, such as one for TLS.
    package static func run<Value>(
        to port: Int, configure: @escaping @Sendable (any Channel) throws -> Void = { _ in },
        _ body: (Relay) async throws -> Value
    ) async throws -> Value {
        let relay = try await Relay(to: port, configure)
        let result: Result<Value, any Error>
        do {
            result = .success(try await body(relay))
        } catch {
            result = .failure(error)
        }
        await relay.set(.cut)
        relay.listener.close(promise: nil)
        return try result.get()
    }

    private init(to port: Int, _ configure: @escaping @Sendable (any Channel) throws -> Void) async throws {
        let state = Locked(State())
        self.state = state
        listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 64)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try Self.accept(channel, state, port, configure) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        self.port = listener.localAddress?.port ?? 0
    }

    private static func accept(
        _ channel: any Channel, _ state: Locked<State>, _ port: Int, _ configure: (any Channel) throws -> Void
    ) throws {
        // A later cut closes the channel.
        let mode = state.withLock { state in
            if state.mode != .cut { state.channels[ObjectIdentifier(channel)] = channel }
            return state.mode
        }
        forget(channel, state)
        switch mode {
        case .cut: channel.close(promise: nil)
        case .stalled: try channel.syncOptions?.setOption(.autoRead, value: false)
        case .open:
            try configure(channel)
            try channel.pipeline.syncOperations.addHandler(
                RelayingHandler { front in connect(channel, front, state, port) })
        }
    }

    private static func connect(
        _ channel: any Channel, _ front: RelayingHandler, _ state: Locked<State>, _ port: Int
    ) {
        let bound = NIOLoopBound((channel, front), eventLoop: channel.eventLoop)
        ClientBootstrap(group: channel.eventLoop)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { server in
                server.eventLoop.makeCompletedFuture {
                    let (channel, front) = bound.value
                    state.withLock { $0.channels[ObjectIdentifier(server)] = server }
                    forget(server, state)
                    try server.pipeline.syncOperations.addHandler(RelayingHandler(to: channel))
                    front.prepare(server)
                }
            }
            .connect(host: "127.0.0.1", port: port)
            .whenComplete { result in
                let (channel, front) = bound.value
                guard case .success(let server) = result, channel.isActive else {
                    if case .success(let server) = result { server.close(promise: nil) }
                    return channel.close(promise: nil)
                }
                state.withLock { $0.relayed += 1 }
                server.closeFuture.whenComplete { _ in state.withLock { $0.relayed -= 1 } }
                front.begin()
            }
    }

    /// Removes a channel when it is closed.
    private static func forget(_ channel: any Channel, _ state: Locked<State>) {
        let id = ObjectIdentifier(channel)
        channel.closeFuture.whenComplete { _ in state.withLock { $0.channels[id] = nil } }
    }

    /// The number of connections that are relayed now.
    package var connections: Int { state.withLock { $0.relayed } }

    /// Changes the mode. Unless the new mode is `open`, closes all connections before it returns.
    package func set(_ mode: Mode) async {
        let channels = state.withLock { state in
            state.mode = mode
            return mode == .open ? [] : Array(state.channels.values)
        }
        for channel in channels {
            channel.close(promise: nil)
            // A failure of the connection is a way to close it.
            try? await channel.closeFuture.get()
        }
    }
}

/// Writes what arrives on one channel to another one.
private final class RelayingHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var partner: (any Channel)?
    private var activate: ((RelayingHandler) -> Void)?
    /// The data that arrived before the other connection was open.
    private var early: [ByteBuffer]?

    /// - Parameter activate: a closure that is called when the channel is active, and opens the other connection.
    init(_ activate: @escaping (RelayingHandler) -> Void) {
        self.activate = activate
        early = []
    }

    init(to partner: any Channel) { self.partner = partner }

    func channelActive(context: ChannelHandlerContext) {
        activate?(self)
        activate = nil
        context.fireChannelActive()
    }

    /// Sets the channel to write to.
    func prepare(_ partner: any Channel) { self.partner = partner }

    /// Writes the data that arrived before the other connection was open.
    func begin() {
        for data in early ?? [] { partner?.writeAndFlush(data, promise: nil) }
        early = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let data = unwrapInboundIn(data)
        if early == nil { partner?.writeAndFlush(data, promise: nil) } else { early?.append(data) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        context.fireChannelInactive()
        guard let partner else { return }
        // After the preceding writes.
        partner.writeAndFlush(ByteBuffer()).whenComplete { _ in partner.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
