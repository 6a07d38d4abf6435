import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import PetrelKit

typealias XMPPChannel = NIOAsyncChannel<ByteBuffer, ByteBuffer>

/// Connects to a server, and begins TLS before anything is said that matters.
struct XMPPConnector: Sendable {
    /// Why there is no connection.
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    private static let patience = TimeAmount.seconds(15)

    let loop: any EventLoop
    /// The one whose certificate the server has to show (RFC 6120, section 13.7.1.2), whatever its host is called.
    let domain: String
    let tls: TLSConfiguration

    /// The first that can be had.
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
                problems.append("\(address.host):\(address.port): \(reason(error))")
            }
        }
        throw Failure(description: "no server of \(domain) can be had (\(problems.joined(separator: "; ")))")
    }

    /// In words, where people can do something about it.
    private func reason(_ error: any Error) -> String {
        switch error {
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            "its certificate is not that of \(domain)"
        case NIOSSLError.handshakeFailed(let cause) where "\(cause)".contains("CERTIFICATE_VERIFY_FAILED"):
            "no authority that is trusted vouches for its certificate; ca_cert names another one"
        default: "\(error)"
        }
    }

    private func open(_ address: ServerAddress) async throws -> XMPPChannel {
        var configuration = tls
        // Of direct TLS (XEP-0368).
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
                        try pipeline.addHandler(SecuredHandler(opened))
                    } else {
                        try pipeline.addHandler(StartTLSHandler(domain, context, opened))
                    }
                }
            }
            .connect(host: address.host, port: address.port)
        connecting.whenFailure { opened.fail($0) }
        // A promise is kept once: what comes later changes nothing.
        let timer = loop.scheduleTask(in: patience) { opened.fail(Failure(description: "no answer in time")) }
        opened.futureResult.whenComplete { result in
            timer.cancel()
            if case .failure = result { connecting.whenSuccess { $0.close(promise: nil) } }
        }
        return try await withTaskCancellationHandler {
            try await opened.futureResult.get()
        } onCancel: {
            opened.fail(CancellationError())
        }
    }
}

/// Hands the channel over once TLS is there.
private final class SecuredHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let opened: EventLoopPromise<XMPPChannel>

    init(_ opened: EventLoopPromise<XMPPChannel>) { self.opened = opened }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .handshakeCompleted? = event as? TLSUserEvent else {
            return context.fireUserInboundEventTriggered(event)
        }
        do {
            opened.succeed(try NIOAsyncChannel(wrappingChannelSynchronously: context.channel))
            context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
        } catch {
            opened.fail(error)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        opened.fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        opened.fail(XMPPConnector.Failure(description: "the server ended the connection before it was encrypted"))
        context.fireChannelInactive()
    }
}

/// STARTTLS (RFC 6120, section 5): nothing else is said or taken without TLS.
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
                // What follows the word that TLS begins is not protected by it, whoever sent it.
                if try take(item, context), !items.isEmpty {
                    throw XMPPConnector.Failure(description: "something was sent between STARTTLS and TLS")
                }
            }
        } catch {
            fail(error, context)
        }
    }

    /// Whether TLS begins now.
    private func take(_ item: StanzaParser.Item, _ context: ChannelHandlerContext) throws -> Bool {
        switch item {
        case .opened: return false
        case .closed: throw XMPPConnector.Failure(description: "the server ended the stream before it was encrypted")
        case .stanza(let stanza) where stanza.name == "features":
            guard stanza.has("starttls", XMPPNames.tls) else {
                throw XMPPConnector.Failure(
                    description: "the server offers no TLS, and without it no password is sent")
            }
            isAsked = true
            write(XMLElement("starttls", XMPPNames.tls).xml(in: XMPPNames.client), context)
            return false
        case .stanza(let stanza) where stanza.name == "proceed" && stanza.namespace == XMPPNames.tls && isAsked:
            try begin(context)
            return true
        case .stanza(let stanza):
            throw StreamFailure(stanza) ?? XMPPConnector.Failure(description: "the server refuses STARTTLS")
        }
    }

    private func begin(_ context: ChannelHandlerContext) throws {
        let pipeline = context.pipeline.syncOperations
        try pipeline.addHandler(
            NIOSSLClientHandler(context: self.context, serverHostname: domain), position: .before(self))
        try pipeline.addHandler(SecuredHandler(opened), position: .after(self))
        pipeline.removeHandler(context: context, promise: nil)
    }

    private func write(_ text: String, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { fail(error, context) }

    func channelInactive(context: ChannelHandlerContext) {
        fail(XMPPConnector.Failure(description: "the server ended the connection before it was encrypted"), context)
        context.fireChannelInactive()
    }

    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        opened.fail(error)
        context.close(promise: nil)
    }
}
