import NIOCore
import NIOPosix
import NIOSSL
import PetrelKit
import XMLStream

typealias XMPPChannel = NIOAsyncChannel<ByteBuffer, ByteBuffer>

/// Opens connections with TLS, either directly or with STARTTLS.
struct XMPPConnector: Sendable {
    /// An error that prevents a connection.
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// The time limit for each address, including the TLS handshake.
    private static let patience = TimeAmount.seconds(15)

    let loop: any EventLoop
    /// The domain that the certificate must match (RFC 6120, section 13.7.1.2), regardless of the server's host name.
    let domain: String
    let tls: TLSConfiguration

    /// Connects to the first address that is reachable. Throws ``Failure`` if no address is, and ``StreamFailure`` if a
    /// server redirects the bot.
    func open(_ addresses: [ServerAddress]) async throws -> XMPPChannel {
        var problems: [String] = []
        for address in addresses {
            do {
                return try await open(address)
            } catch is CancellationError {
                throw CancellationError()
            } catch let failure as StreamFailure where failure.otherHost != nil {
                throw failure
            } catch {
                let reason = TLSProblem.reason(error, host: domain, authoritiesKey: "ca_cert")
                problems.append("\(address.host):\(address.port): \(reason)")
            }
        }
        throw Failure(description: "cannot connect to any server of \(domain) (\(problems.joined(separator: "; ")))")
    }

    private func open(_ address: ServerAddress) async throws -> XMPPChannel {
        var configuration = tls
        // XEP-0368 requires this ALPN protocol for direct TLS.
        if address.isDirect { configuration.applicationProtocols = ["xmpp-client"] }
        let context = try NIOSSLContext(configuration: configuration)
        let opened = loop.makePromise(of: XMPPChannel.self)
        let (domain, patience) = (domain, Self.patience)
        let connecting = ClientBootstrap(group: loop)
            .connectTimeout(patience)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if address.isDirect {
                        try pipeline.addHandler(NIOSSLClientHandler(context: context, serverHostname: domain))
                        try pipeline.addHandler(OpeningHandler(secured: opened))
                    } else {
                        try pipeline.addHandler(StartTLSHandler(domain, context, opened))
                    }
                }
            }
            .connect(host: address.host, port: address.port)
        return try await opened.connection(
            over: connecting, within: patience, timeout: Failure(description: "timed out"))
    }
}

extension OpeningHandler {
    /// Creates a handler that completes the promise after the TLS handshake.
    fileprivate convenience init(secured opened: EventLoopPromise<XMPPChannel>) {
        self.init(
            opened, isEncrypted: true,
            closed: XMPPConnector.Failure(description: "the server closed the connection before TLS was established"))
    }
}

/// Negotiates STARTTLS (RFC 6120, section 5). Sends and accepts nothing else without TLS.
private final class StartTLSHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let domain: String
    private let context: NIOSSLContext
    private let opened: EventLoopPromise<XMPPChannel>
    private var parser = StanzaParser()
    private var isAsked = false

    init(_ domain: String, _ context: NIOSSLContext, _ opened: EventLoopPromise<XMPPChannel>) {
        self.domain = domain
        self.context = context
        self.opened = opened
    }

    func channelActive(context: ChannelHandlerContext) {
        write(StreamHeader.text(to: domain), context)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        do {
            var items = try parser.feed(unwrapInboundIn(data).readableBytesView)[...]
            while let item = items.popFirst() {
                // Data after <proceed/> and before the handshake is unauthenticated and may be injected.
                if try take(item, context), !items.isEmpty {
                    throw XMPPConnector.Failure(
                        description: "the server sent data between STARTTLS and the TLS handshake")
                }
            }
        } catch {
            fail(error, context)
        }
    }

    /// Processes an item. Returns true if the TLS handshake begins.
    private func take(_ item: StanzaParser.Item, _ context: ChannelHandlerContext) throws -> Bool {
        switch item {
        case .opened: return false
        case .closed:
            throw XMPPConnector.Failure(description: "the server closed the stream before TLS was established")
        case .stanza(let stanza) where stanza.name == "features":
            guard stanza.has("starttls", XMPPNames.tls) else {
                throw XMPPConnector.Failure(
                    description: "the server offers no TLS, which is required before the password is sent")
            }
            isAsked = true
            write(XMLElement("starttls", XMPPNames.tls).xml(in: XMPPNames.client), context)
            return false
        case .stanza(let stanza) where stanza.name == "proceed" && stanza.namespace == XMPPNames.tls && isAsked:
            try begin(context)
            return true
        case .stanza(let stanza):
            throw StreamFailure(stanza) ?? XMPPConnector.Failure(description: "the server rejected STARTTLS")
        }
    }

    private func begin(_ context: ChannelHandlerContext) throws {
        let pipeline = context.pipeline.syncOperations
        try pipeline.addHandler(
            NIOSSLClientHandler(context: self.context, serverHostname: domain), position: .before(self))
        try pipeline.addHandler(OpeningHandler(secured: opened), position: .after(self))
        pipeline.removeHandler(context: context, promise: nil)
    }

    private func write(_ text: String, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { fail(error, context) }

    func channelInactive(context: ChannelHandlerContext) {
        fail(XMPPConnector.Failure(description: "the server closed the connection before TLS was established"), context)
        context.fireChannelInactive()
    }

    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        opened.fail(error)
        context.close(promise: nil)
    }
}
