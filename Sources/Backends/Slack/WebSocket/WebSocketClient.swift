import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import NIOWebSocket

/// Opens WebSockets to `ws://` and `wss://` addresses.
struct WebSocketClient: Sendable {
    /// Why none was opened.
    struct Failure: Error, CustomStringConvertible, Sendable {
        var description: String
    }

    private let loop: any EventLoop
    private let limits: WebSocket.Limits
    private let tls: TLSConfiguration

    init(
        on loop: any EventLoop, limits: WebSocket.Limits = WebSocket.Limits(),
        tls: TLSConfiguration = .makeClientConfiguration()
    ) {
        self.loop = loop
        self.limits = limits
        self.tls = tls
    }

    /// Connects, and hands over each message, one after the other, until the connection ends or this task is
    /// cancelled. Throws ``Failure`` where it never was open.
    func run(
        _ address: URL, take: @escaping @Sendable (WebSocket.Message, WebSocket) async throws -> Void
    ) async throws -> WebSocket.Ending {
        let channel = try await open(Target(address))
        return try await WebSocket.run(channel, limits, take: take)
    }

    private func open(_ target: Target) async throws -> NIOAsyncChannel<WebSocketFrame, WebSocketFrame> {
        let context = target.isSecure ? try NIOSSLContext(configuration: tls) : nil
        let (limits, patience) = (limits, TimeAmount(limits.handshake))
        let opened = loop.makePromise(of: NIOAsyncChannel<WebSocketFrame, WebSocketFrame>.self)
        let connecting = ClientBootstrap(group: loop)
            .connectTimeout(patience)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let context {
                        try pipeline.addHandler(
                            NIOSSLClientHandler(context: context, serverHostname: target.serverName))
                    }
                    let nonce = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
                    try pipeline.addHandler(
                        HandshakeHandler(
                            WebSocketHandshake(authority: target.authority, path: target.path, nonce: nonce), limits,
                            opened))
                }
            }
            .connect(host: target.host, port: target.port)
        connecting.whenFailure { opened.fail($0) }
        // A promise is kept once: what comes later changes nothing.
        let timer = loop.scheduleTask(in: patience) {
            opened.fail(Failure(description: "no answer within \(limits.handshake)"))
        }
        opened.futureResult.whenComplete { result in
            timer.cancel()
            if case .failure = result { connecting.whenSuccess { $0.close(promise: nil) } }
        }
        do {
            return try await withTaskCancellationHandler {
                try await opened.futureResult.get()
            } onCancel: {
                opened.fail(CancellationError())
            }
        } catch is CancellationError {
            throw CancellationError()
        } catch let failure as Failure {
            throw Failure(description: "\(target.host): \(failure)")
        } catch {
            throw Failure(description: "no connection to \(target.host): \(error)")
        }
    }

    /// Where a WebSocket is to be had.
    private struct Target: Sendable {
        var host: String
        var port: Int
        var isSecure: Bool
        var path: String

        init(_ url: URL) throws {
            guard let scheme = url.scheme?.lowercased(), ["ws", "wss"].contains(scheme), let host = url.host(),
                !host.isEmpty
            else { throw Failure(description: "an address that is neither ws:// nor wss://") }
            isSecure = scheme == "wss"
            self.host = host
            port = url.port ?? (isSecure ? 443 : 80)
            let path = url.path(percentEncoded: true)
            self.path = (path.isEmpty ? "/" : path) + (url.query(percentEncoded: true).map { "?\($0)" } ?? "")
        }

        var authority: String { port == (isSecure ? 443 : 80) ? host : "\(host):\(port)" }

        /// An address has no name to be checked against.
        var serverName: String? { host.allSatisfy { $0.isNumber || $0 == "." } || host.contains(":") ? nil : host }
    }
}

/// Opens the WebSocket on a connection. All of it happens in one go: the first frames may come with the answer, and the
/// end right after them.
private final class HandshakeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var handshake: WebSocketHandshake
    private let limits: WebSocket.Limits
    /// Nil once it is settled.
    private var opened: EventLoopPromise<NIOAsyncChannel<WebSocketFrame, WebSocketFrame>>?

    init(
        _ handshake: WebSocketHandshake, _ limits: WebSocket.Limits,
        _ opened: EventLoopPromise<NIOAsyncChannel<WebSocketFrame, WebSocketFrame>>
    ) {
        self.handshake = handshake
        self.limits = limits
        self.opened = opened
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: handshake.request)), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard opened != nil else { return context.fireChannelRead(data) }
        switch handshake.take(unwrapInboundIn(data).readableBytesView) {
        case .incomplete: break
        case .refused(let reason): fail(WebSocketClient.Failure(description: reason), context)
        case .open(let rest):
            do {
                let channel = try open(context.channel)
                opened?.succeed(channel)
                opened = nil
                if !rest.isEmpty { context.fireChannelRead(wrapInboundOut(ByteBuffer(bytes: rest))) }
            } catch {
                fail(error, context)
            }
        }
    }

    private func open(_ channel: any Channel) throws -> NIOAsyncChannel<WebSocketFrame, WebSocketFrame> {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(WebSocketFrameEncoder())
        try pipeline.addHandler(ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: limits.message)))
        try pipeline.addHandler(WebSocketProtocolErrorHandler(isServer: false))
        return try NIOAsyncChannel(wrappingChannelSynchronously: channel)
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(WebSocketClient.Failure(description: "it ended the connection before the handshake was done"), context)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard opened != nil else { return context.fireErrorCaught(error) }
        fail(error, context)
    }

    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        guard let opened else { return }
        self.opened = nil
        opened.fail(error)
        context.close(promise: nil)
    }
}
