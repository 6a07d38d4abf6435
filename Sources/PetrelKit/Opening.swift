package import NIOCore
import NIOSSL
import NIOTLS
import PetrelSupport

extension EventLoopPromise where Value: Sendable {
    /// Returns the connection as soon as the handlers of its channel have completed this promise.
    ///
    /// Throws the error with which the channel or a handler has failed, `timeout` after the time limit, or
    /// `CancellationError` as soon as the task is cancelled. The channel is then closed.
    /// - Parameter connecting: The channel, which opens.
    package func connection(
        over connecting: EventLoopFuture<any Channel>, within limit: TimeAmount, timeout: any Error
    ) async throws -> Value {
        // Only the first completion of a promise has an effect.
        connecting.whenFailure { fail($0) }
        let timer = futureResult.eventLoop.scheduleTask(in: limit) { fail(timeout) }
        futureResult.whenComplete { result in
            timer.cancel()
            if case .failure = result { connecting.whenSuccess { $0.close(promise: nil) } }
        }
        return try await withTaskCancellationHandler {
            try await futureResult.get()
        } onCancel: {
            fail(CancellationError())
        }
    }
}

/// Completes a promise with the channel as soon as it can carry data: with TLS, after the handshake.
package final class OpeningHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer

    private let opened: EventLoopPromise<TCPConnector.Connection>
    private let isEncrypted: Bool
    private let closed: any Error

    /// - Parameter closed: The error if the server closes the connection before.
    package init(_ opened: EventLoopPromise<TCPConnector.Connection>, isEncrypted: Bool, closed: any Error) {
        self.opened = opened
        self.isEncrypted = isEncrypted
        self.closed = closed
    }

    package func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        if !isEncrypted { complete(context) }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
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

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        opened.fail(error)
        context.close(promise: nil)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        opened.fail(closed)
        context.fireChannelInactive()
    }
}

/// Errors of TLS in the words of an operator.
package enum TLSProblem {
    /// Returns an error message, with a hint for certificate problems.
    /// - Parameters:
    ///   - host: The name that the certificate must be valid for.
    ///   - authoritiesKey: The key of the settings that names the file with the certificate authorities.
    package static func reason(_ error: any Error, host: String, authoritiesKey: String) -> String {
        switch error {
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            "the certificate does not match \(host)"
        case NIOSSLError.handshakeFailed(let cause) where "\(cause)".contains("CERTIFICATE_VERIFY_FAILED"):
            "the certificate is not signed by a trusted authority; \(authoritiesKey) sets another one"
        case NIOSSLError.handshakeFailed(let cause) where "\(cause)".contains("WRONG_VERSION_NUMBER"):
            "the port does not use TLS"
        default: "\(error)"
        }
    }
}
