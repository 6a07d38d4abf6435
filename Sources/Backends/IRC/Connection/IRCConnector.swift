import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import PetrelKit

typealias IRCChannel = NIOAsyncChannel<ByteBuffer, ByteBuffer>

/// Opens connections, with TLS from the first byte unless it is off.
struct IRCConnector: Sendable {
    /// The time limit for a connection, including the TLS handshake.
    private static let patience = TimeAmount.seconds(20)

    let loop: any EventLoop
    let settings: IRCSettings

    /// Connects. Throws ``BackendFailure``, which is final if a file of the settings cannot be read.
    func open() async throws -> IRCChannel {
        let context = try context()
        let opened = loop.makePromise(of: IRCChannel.self)
        let host = settings.server
        let connecting = ClientBootstrap(group: loop)
            .connectTimeout(Self.patience)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let context {
                        try pipeline.addHandler(
                            NIOSSLClientHandler(context: context, serverHostname: Self.isAddress(host) ? nil : host))
                    }
                    try pipeline.addHandler(OpeningHandler(opened, isEncrypted: context != nil))
                }
            }
            .connect(host: host, port: settings.port)
        connecting.whenFailure { opened.fail($0) }
        // Only the first completion of a promise has an effect.
        let timer = loop.scheduleTask(in: Self.patience) { opened.fail(BackendFailure("timed out")) }
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
        } catch let error where !(error is CancellationError) {
            throw BackendFailure("cannot connect to \(host):\(settings.port): \(reason(error))")
        }
    }

    private func context() throws(BackendFailure) -> NIOSSLContext? {
        guard settings.isEncrypted else { return nil }
        do {
            return try NIOSSLContext(configuration: settings.tls())
        } catch {
            throw BackendFailure(
                "cannot read ca_cert, client_cert or client_key, which must be PEM files: \(error)", isFinal: true)
        }
    }

    /// Returns true for an IP address, for which the certificate has to be issued then.
    private static func isAddress(_ host: String) -> Bool {
        (try? SocketAddress(ipAddress: host, port: 0)) != nil
    }

    /// Returns an error message, with a hint for certificate problems.
    private func reason(_ error: any Error) -> String {
        switch error {
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            "the certificate does not match \(settings.server)"
        case NIOSSLError.handshakeFailed(let cause) where "\(cause)".contains("CERTIFICATE_VERIFY_FAILED"):
            "the certificate is not signed by a trusted authority; ca_cert sets another one"
        case NIOSSLError.handshakeFailed(let cause) where "\(cause)".contains("WRONG_VERSION_NUMBER"):
            "the port does not use TLS"
        default: "\(error)"
        }
    }
}

/// Completes the promise with the channel as soon as it can carry messages.
private final class OpeningHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let opened: EventLoopPromise<IRCChannel>
    private let isEncrypted: Bool

    init(_ opened: EventLoopPromise<IRCChannel>, isEncrypted: Bool) {
        self.opened = opened
        self.isEncrypted = isEncrypted
    }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        if !isEncrypted { complete(context) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .handshakeCompleted? = event as? TLSUserEvent else {
            return context.fireUserInboundEventTriggered(event)
        }
        complete(context)
    }

    private func complete(_ context: ChannelHandlerContext) {
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
        opened.fail(BackendFailure("the server closed the connection"))
        context.fireChannelInactive()
    }
}
