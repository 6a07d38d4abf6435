import Foundation
import NIOCore
import NIOExtras
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket
import PetrelKit
import PetrelSupport

/// A client that opens WebSockets to `ws://` and `wss://` addresses.
///
/// It reads the answer to the handshake itself, because NIO's upgrader loses a first frame that comes in the same segment
/// as the answer.
struct WebSocketClient: Sendable {
    /// The reason why a WebSocket could not be opened.
    struct Failure: Error, CustomStringConvertible, Sendable {
        var description: String
    }

    private let loop: any EventLoop
    private let limits: WebSocket.Limits
    private let tls: TLSConfiguration
    private let proxies: ProxyEnvironment

    init(
        on loop: any EventLoop, limits: WebSocket.Limits = WebSocket.Limits(),
        tls: TLSConfiguration = .makeClientConfiguration(), proxies: ProxyEnvironment = ProxyEnvironment([:])
    ) {
        self.loop = loop
        self.limits = limits
        self.tls = tls
        self.proxies = proxies
    }

    /// Connects, and passes messages to `take`, one at a time, until the connection ends or the task is cancelled.
    /// Throws ``Failure`` if the connection could not be opened.
    func run(
        _ address: URL, take: @escaping @Sendable (WebSocket.Message, WebSocket) async throws -> Void
    ) async throws -> WebSocket.Ending {
        let channel = try await open(Target(address), through: proxies.proxy(for: address))
        return try await WebSocket.run(channel, limits, take: take)
    }

    private func open(
        _ target: Target, through proxy: ProxyEnvironment.Proxy?
    ) async throws -> NIOAsyncChannel<WebSocketFrame, WebSocketFrame> {
        let context = target.isSecure ? try NIOSSLContext(configuration: tls) : nil
        let (limits, patience) = (limits, TimeAmount(limits.handshake))
        let opened = loop.makePromise(of: NIOAsyncChannel<WebSocketFrame, WebSocketFrame>.self)
        let begin: @Sendable (any Channel) throws -> Void = { channel in
            let pipeline = channel.pipeline.syncOperations
            if let context {
                try pipeline.addHandler(NIOSSLClientHandler(context: context, serverHostname: target.serverName))
            }
            let nonce = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
            let handshake = WebSocketHandshake(authority: target.authority, path: target.path, nonce: nonce)
            try pipeline.addHandler(HandshakeHandler(handshake, limits, opened))
        }
        let connecting = ClientBootstrap(group: loop)
            .connectTimeout(patience)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let proxy else { return try begin(channel) }
                    try Self.tunnel(channel, through: proxy, to: target, within: patience).whenComplete { result in
                        do {
                            try result.get()
                            try begin(channel)
                        } catch {
                            opened.fail(Self.failure(of: proxy, error))
                        }
                    }
                }
            }
            .connect(host: proxy?.host ?? target.host, port: proxy?.port ?? target.port)
        do {
            return try await opened.connection(
                over: connecting, within: patience,
                timeout: Failure(description: "no response within \(limits.handshake)"))
        } catch is CancellationError {
            throw CancellationError()
        } catch let failure as Failure {
            throw Failure(description: "\(target.host): \(failure)")
        } catch {
            throw Failure(description: "cannot connect to \(target.host): \(error)")
        }
    }

    /// Requests a tunnel from a proxy (RFC 9110, 9.3.6). The future completes when the tunnel is established.
    private static func tunnel(
        _ channel: any Channel, through proxy: ProxyEnvironment.Proxy, to target: Target, within patience: TimeAmount
    ) throws -> EventLoopFuture<Void> {
        var headers: HTTPHeaders = ["Host": "\(target.bracketedHost):\(target.port)"]
        if let authorization = proxy.authorization { headers.add(name: "Proxy-Authorization", value: authorization) }
        let connected = channel.eventLoop.makePromise(of: Void.self)
        let encoder = HTTPRequestEncoder()
        let decoder = ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .dropBytes))
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandlers([
            encoder, decoder,
            NIOHTTP1ProxyConnectHandler(
                targetHost: target.bracketedHost, targetPort: target.port, headers: headers,
                deadline: .now() + patience, promise: connected),
        ])
        let isAlone = NIOLoopBound((pipeline, encoder, decoder), eventLoop: channel.eventLoop)
        return connected.futureResult.flatMap {
            let (pipeline, encoder, decoder) = isAlone.value
            return pipeline.removeHandler(decoder).and(pipeline.removeHandler(encoder)).map { _ in }
        }
    }

    private static func failure(of proxy: ProxyEnvironment.Proxy, _ error: any Error) -> Failure {
        let refused = (error as? NIOHTTP1ProxyConnectHandler.Error) == .proxyAuthenticationRequired()
        let reason = refused ? "it rejected the user name or password in HTTPS_PROXY" : "\(error)"
        return Failure(description: "the proxy \(proxy.host):\(proxy.port): \(reason)")
    }

    /// The parts of a WebSocket address.
    private struct Target: Sendable {
        var host: String
        var port: Int
        var isSecure: Bool
        var path: String

        init(_ url: URL) throws {
            guard let scheme = url.scheme?.lowercased(), ["ws", "wss"].contains(scheme),
                let host = url.host(percentEncoded: false),
                !host.isEmpty, url.hasValidPort
            else { throw Failure(description: "the address is neither a valid ws:// nor wss://") }
            isSecure = scheme == "wss"
            self.host = host
            port = url.port ?? (isSecure ? 443 : 80)
            let path = url.path(percentEncoded: true)
            self.path = (path.isEmpty ? "/" : path) + (url.query(percentEncoded: true).map { "?\($0)" } ?? "")
        }

        var bracketedHost: String { host.contains(":") ? "[\(host)]" : host }

        var authority: String { port == (isSecure ? 443 : 80) ? bracketedHost : "\(bracketedHost):\(port)" }

        /// The name for SNI and the verification of the certificate; nil if the host is an IP address.
        var serverName: String? { host.allSatisfy { $0.isNumber || $0 == "." } || host.contains(":") ? nil : host }
    }
}

/// A channel handler that performs the handshake and then installs the WebSocket handlers. It does so synchronously,
/// because the first frames may arrive with the response, and the end of the connection directly after them.
private final class HandshakeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var handshake: WebSocketHandshake
    private let limits: WebSocket.Limits
    /// The result of the handshake; nil once it is completed.
    private var opened: EventLoopPromise<NIOAsyncChannel<WebSocketFrame, WebSocketFrame>>?

    init(
        _ handshake: WebSocketHandshake, _ limits: WebSocket.Limits,
        _ opened: EventLoopPromise<NIOAsyncChannel<WebSocketFrame, WebSocketFrame>>
    ) {
        self.handshake = handshake
        self.limits = limits
        self.opened = opened
    }

    func handlerAdded(context: ChannelHandlerContext) {
        // The connection to a proxy is already active.
        if context.channel.isActive { begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    private func begin(_ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: handshake.request)), promise: nil)
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
        fail(
            WebSocketClient.Failure(description: "the server closed the connection before the handshake was complete"),
            context)
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
