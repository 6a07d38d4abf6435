import DequeModule
import Foundation
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOTLS
import PetrelSupport

/// A pool of HTTP/1.1 connections to one server without a proxy, with one request at a time on each (RFC 9112).
///
/// The latency of commands depends on these calls. A call costs one write and one read on the event loop of the
/// command. With AsyncHTTPClient in its place, which serves proxies, the request leaves 1.28 times as late and a command
/// takes 1.36 times the CPU (`make bench-peer`, medians of three rounds in one run).
final class DirectConnections: Sendable {
    struct Limits: Sendable {
        /// The time limit from the call to the last byte of the response.
        var answer: TimeAmount
        /// The time limit for opening a connection, including the TLS handshake.
        var connect: TimeAmount
        /// The maximum size of the body of a response, in bytes.
        var body: Int
        /// The maximum number of connections.
        static let connections = 64
        /// The time after which an idle connection is closed. It is shorter than that of nginx, so that a request
        /// rarely uses a connection that the server is closing.
        static let idle = TimeAmount.seconds(15)
    }

    private struct State {
        var idle: [(channel: any Channel, since: NIODeadline)] = []
        /// The number of connections, including those that are being opened.
        var open = 0
        var waiting: Deque<Exchange> = []
        var isSweeping = false

        /// Returns the next waiting exchange, and drops those that were given up.
        mutating func nextWaiting() -> Exchange? {
            while let next = waiting.popFirst() { if !next.isOver { return next } }
            return nil
        }
    }

    /// The way in which a request gets a connection.
    private enum Way {
        case use(any Channel)
        case connect
        case wait
    }

    private let host: String
    private let port: Int
    private let tls: NIOSSLContext?
    /// The size of the read buffer of a connection, in bytes. It is fixed, because an adaptive buffer would stay as
    /// large as the largest response for as long as the connection is open.
    private static let reading = 8_192

    private let limits: Limits
    private let loop: any EventLoop
    private let state = Locked(State())

    /// Creates a pool.
    ///
    /// - Parameter tls: The context for TLS, or nil for plain text.
    init(host: String, port: Int, tls: NIOSSLContext?, limits: Limits, on loop: any EventLoop) {
        self.host = host
        self.port = port
        self.tls = tls
        self.limits = limits
        self.loop = loop
    }

    deinit {
        for (channel, _) in state.value.idle { channel.close(promise: nil) }
    }

    /// Sends a request and returns the complete response. A request is never repeated.
    ///
    /// - Throws: ``StackStormError`` with the code `unreachable` only if nothing was sent. After any other error, the
    ///   outcome of the request is unknown.
    func send(_ head: HTTPRequestHead, _ body: [UInt8]?) async throws -> StackStormResponse {
        let exchange = Exchange(head: head, body: body, limit: limits.body)
        let timer = loop.scheduleTask(in: limits.answer) { exchange.giveUp(.late) }
        defer { timer.cancel() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                if exchange.begin(continuation) { start(exchange) }
            }
        } onCancel: {
            exchange.giveUp(.cancelled)
        }
    }

    private func start(_ exchange: Exchange) {
        let way: Way = state.withLock { state in
            let oldest = NIODeadline.now() - Limits.idle
            while let (channel, since) = state.idle.popLast() {
                if channel.isActive, since > oldest { return .use(channel) }
                channel.close(promise: nil)
            }
            guard state.open < Limits.connections else {
                state.waiting.append(exchange)
                return .wait
            }
            state.open += 1
            return .connect
        }
        switch way {
        case .use(let channel): run(exchange, on: channel)
        case .connect: connect(exchange)
        case .wait: break
        }
    }

    private func run(_ exchange: Exchange, on channel: any Channel) {
        guard exchange.attach(channel) else { return released(channel) }
        channel.writeAndFlush(exchange).whenFailure { error in
            // The server has just closed the connection. Nothing was sent, so another connection can be used.
            if case .ioOnClosedChannel? = error as? ChannelError, !exchange.isSent, !exchange.isOver {
                return self.start(exchange)
            }
            exchange.finish(.failure(error))
        }
    }

    private func connect(_ exchange: Exchange) {
        let ready = loop.makePromise(of: (any Channel).self)
        let timer = loop.scheduleTask(in: limits.connect) { [limits] in
            ready.fail(ChannelError.connectTimeout(limits.connect))
        }
        ClientBootstrap(group: loop).connectTimeout(limits.connect)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.reading))
            .channelInitializer { channel in
                ready.futureResult.whenFailure { _ in channel.close(promise: nil) }
                return channel.eventLoop.makeCompletedFuture { try self.prepare(channel, ready) }
            }.connect(host: host, port: port).whenFailure { ready.fail($0) }
        ready.futureResult.whenComplete { result in
            timer.cancel()
            switch result {
            case .success(let channel):
                channel.closeFuture.whenComplete { [weak self] _ in self?.closed() }
                self.run(exchange, on: channel)
            case .failure(let error):
                exchange.finish(.failure(StackStormError.noConnection(error)))
                self.closed()
            }
        }
    }

    private func prepare(_ channel: any Channel, _ ready: EventLoopPromise<any Channel>) throws {
        let pipeline = channel.pipeline.syncOperations
        if let tls {
            let isAddress = (try? SocketAddress(ipAddress: host, port: port)) != nil
            try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: isAddress ? nil : host))
        }
        try pipeline.addHTTPClientHandlers()
        try pipeline.addHandler(
            ConnectionHandler(isEncrypted: tls != nil, ready) { [weak self] channel in
                guard let self else { return channel.close(promise: nil) }
                released(channel)
            })
    }

    /// Uses a free connection for the next waiting request, or keeps it as idle.
    private func released(_ channel: any Channel) {
        guard channel.isActive else { return }
        let (next, sweeps) = state.withLock { state -> (Exchange?, Bool) in
            if let next = state.nextWaiting() { return (next, false) }
            state.idle.append((channel, .now()))
            defer { state.isSweeping = true }
            return (nil, !state.isSweeping)
        }
        if let next { run(next, on: channel) }
        if sweeps { sweepLater() }
    }

    /// Updates the state after a connection was closed or could not be opened.
    private func closed() {
        let next = state.withLock { state in
            state.open -= 1
            return state.nextWaiting()
        }
        if let next { start(next) }
    }

    private func sweepLater() {
        loop.scheduleTask(in: Limits.idle) { [weak self] in self?.sweep() }
    }

    private func sweep() {
        let oldest = NIODeadline.now() - Limits.idle
        let (old, goesOn) = state.withLock { state in
            let old = state.idle.filter { $0.since <= oldest || !$0.channel.isActive }
            state.idle.removeAll { $0.since <= oldest || !$0.channel.isActive }
            state.isSweeping = !state.idle.isEmpty
            return (old, state.isSweeping)
        }
        for (channel, _) in old { channel.close(promise: nil) }
        if goesOn { sweepLater() }
    }
}

/// A request and the task that waits for its response.
final class Exchange: Sendable {
    /// The reason to give up.
    enum Surrender { case late, cancelled }

    private struct State {
        var continuation: CheckedContinuation<StackStormResponse, any Error>?
        var channel: (any Channel)?
        var isSent = false
        var isOver = false
        var surrender: Surrender?
    }

    let head: HTTPRequestHead
    let body: [UInt8]?
    /// The maximum size of the body of the response, in bytes.
    let limit: Int
    private let state = Locked(State())

    init(head: HTTPRequestHead, body: [UInt8]?, limit: Int) {
        self.head = head
        self.body = body
        self.limit = limit
    }

    /// Sets the continuation of the waiting task. Returns false if the exchange was given up before.
    func begin(_ continuation: CheckedContinuation<StackStormResponse, any Error>) -> Bool {
        let surrender = state.withLock { state in
            if state.surrender == nil { state.continuation = continuation }
            return state.surrender
        }
        guard let surrender else { return true }
        continuation.resume(throwing: Self.error(surrender, isSent: false))
        return false
    }

    var isOver: Bool { state.value.isOver }

    /// True if a part of the request may have been sent.
    var isSent: Bool { state.value.isSent }

    func markSent() { state.withLock { $0.isSent = true } }

    /// Sets the channel before the request is sent. Returns false if the exchange was given up.
    func attach(_ channel: any Channel) -> Bool {
        state.withLock { state in
            guard !state.isOver else { return false }
            state.channel = channel
            return true
        }
    }

    /// Ends the exchange. After that, it cannot be given up, so its connection is free.
    ///
    /// - Returns: The continuation of the waiting task, or nil if the exchange was given up or ended before.
    func end() -> CheckedContinuation<StackStormResponse, any Error>? {
        state.withLock { state in
            defer { state.continuation = nil }
            state.isOver = true
            state.channel = nil
            return state.continuation
        }
    }

    /// Ends the exchange with a result, unless it has ended.
    func finish(_ result: Result<StackStormResponse, any Error>) { end()?.resume(with: result) }

    /// Gives up the exchange. Its connection is closed, because a late response must not be used for another request.
    func giveUp(_ surrender: Surrender) {
        let (continuation, channel) = state.withLock { state in
            defer {
                state.surrender = surrender
                state.isOver = true
                state.continuation = nil
                state.channel = nil
            }
            return (state.continuation, state.channel)
        }
        continuation?.resume(throwing: Self.error(surrender, isSent: channel != nil))
        channel?.close(promise: nil)
    }

    private static func error(_ surrender: Surrender, isSent: Bool) -> any Error {
        switch surrender {
        case .cancelled: CancellationError()
        case .late where isSent: StackStormError(.noAnswer, "no complete response in time")
        case .late: StackStormError(.unreachable, "no connection in time")
        }
    }
}

/// The last handler of a connection, which writes the request of an exchange and collects the response.
final class ConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundIn = Exchange
    typealias OutboundOut = HTTPClientRequestPart

    private let isEncrypted: Bool
    /// A promise that succeeds when requests can be sent.
    private let ready: EventLoopPromise<any Channel>
    private let released: (any Channel) -> Void
    private var exchange: Exchange?
    private var head: HTTPResponseHead?
    private var body = ByteBuffer()

    init(isEncrypted: Bool, _ ready: EventLoopPromise<any Channel>, released: @escaping (any Channel) -> Void) {
        self.isEncrypted = isEncrypted
        self.ready = ready
        self.released = released
    }

    func channelActive(context: ChannelHandlerContext) {
        if !isEncrypted { ready.succeed(context.channel) }
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent { ready.succeed(context.channel) }
        context.fireUserInboundEventTriggered(event)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard context.channel.isActive else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        let exchange = unwrapOutboundIn(data)
        exchange.markSent()
        self.exchange = exchange
        context.write(wrapOutboundOut(.head(exchange.head)), promise: nil)
        if let body = exchange.body {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
        }
        context.write(wrapOutboundOut(.end(nil)), promise: promise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body(var part):
            guard let exchange, body.readableBytes + part.readableBytes <= exchange.limit else {
                return fail(NIOTooManyBytesError(maxBytes: exchange?.limit ?? 0), context)
            }
            if body.readableBytes == 0 { body = part } else { body.writeBuffer(&part) }
        case .end: complete(context)
        }
    }

    private func complete(_ context: ChannelHandlerContext) {
        guard let exchange, let head else { return context.close(promise: nil) }
        let bytes = body.readData(length: body.readableBytes) ?? Data()
        self.exchange = nil
        self.head = nil
        body = ByteBuffer()
        // The exchange must end before the connection is free; giving it up later would close the connection of the
        // next request.
        let waiting = exchange.end()
        // If the exchange was given up, its connection is being closed.
        if waiting != nil, head.isKeepAlive { released(context.channel) } else { context.close(promise: nil) }
        waiting?.resume(
            returning: StackStormResponse(status: Int(head.status.code), headers: head.headers.lowercased, body: bytes))
    }

    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        exchange?.finish(.failure(error))
        exchange = nil
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        ready.fail(error)
        fail(error, context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        ready.fail(ChannelError.eof)
        fail(ChannelError.eof, context)
        context.fireChannelInactive()
    }
}
