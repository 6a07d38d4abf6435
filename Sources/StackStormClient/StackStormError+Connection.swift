import Foundation
import NIOCore
import NIOPosix
import NIOSSL

extension StackStormError {
    /// Returns the error of a connection that could not be opened. Nothing was sent.
    static func noConnection(_ error: any Error) -> StackStormError {
        guard let reason = distrust(error) else {
            return StackStormError(.unreachable, "no connection", cause: plain(error))
        }
        return StackStormError(.unreachable, "its certificate is not trusted: \(reason)", cause: "TLS").pointing(
            at: "ca_cert")
    }

    /// Returns the reason why the certificate of the server is not trusted, or nil if that is not the problem.
    private static func distrust(_ error: any Error) -> String? {
        if (error as? NIOSSLExtraError) == .failedToValidateHostname {
            return "it is for another host name"
        }
        switch error as? NIOSSLError {
        case .handshakeFailed(.sslError(let stack))? where stack.contains(where: isVerification):
            return "it was signed by an unknown authority, or it has expired"
        case .unableToValidateCertificate?: return "it cannot be validated"
        default: return nil
        }
    }

    /// Returns true for a failed verification, which BoringSSL reports only in the text of the error.
    private static func isVerification(_ error: BoringSSLInternalError) -> Bool {
        error.description.contains("CERTIFICATE_VERIFY_FAILED")
    }

    /// Describes an error of the libraries.
    static func plain(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            let reason = error.connectionErrors.first.map { plain($0.error) } ?? "the host name cannot be resolved"
            return "\(error.host) port \(error.port): \(reason)"
        case let error as IOError: return String(cString: strerror(error.errnoCode))
        case let error as ChannelError:
            switch error {
            case .connectTimeout: return "the connection timed out"
            case .eof: return "the server closed the connection"
            default: return "\(error)"
            }
        case NIOSSLError.handshakeFailed: return "the TLS handshake failed"
        default: return "\(error)"
        }
    }
}
