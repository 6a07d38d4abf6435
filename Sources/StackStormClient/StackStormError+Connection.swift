import Foundation
import NIOCore
import NIOPosix
import NIOSSL

extension StackStormError {
    /// Why there is no connection: nothing was sent.
    static func noConnection(_ error: any Error) -> StackStormError {
        guard let reason = distrust(error) else {
            return StackStormError(.unreachable, "no connection", cause: plain(error))
        }
        return StackStormError(.unreachable, "its certificate is not trusted: \(reason)", cause: "TLS").pointing(
            at: "ca_cert")
    }

    /// Why the certificate of the other end is refused; nil where it is not.
    private static func distrust(_ error: any Error) -> String? {
        if (error as? NIOSSLExtraError) == .failedToValidateHostname {
            return "it is for another name than that of the address"
        }
        switch error as? NIOSSLError {
        case .handshakeFailed(.sslError(let stack))? where stack.contains(where: isVerification):
            return "no authority that this machine knows has signed it, or it has expired"
        case .unableToValidateCertificate?: return "it cannot be checked"
        default: return nil
        }
    }

    /// BoringSSL tells it in words only.
    private static func isVerification(_ error: BoringSSLInternalError) -> Bool {
        error.description.contains("CERTIFICATE_VERIFY_FAILED")
    }

    /// An error of the libraries in plain words.
    static func plain(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            let reason = error.connectionErrors.first.map { plain($0.error) } ?? "the name is not known"
            return "\(error.host) port \(error.port): \(reason)"
        case let error as IOError: return String(cString: strerror(error.errnoCode))
        case let error as ChannelError:
            switch error {
            case .connectTimeout: return "no answer in time"
            case .eof: return "the other end closed the connection"
            default: return "\(error)"
            }
        case NIOSSLError.handshakeFailed: return "the other end does not speak TLS as it should"
        default: return "\(error)"
        }
    }
}
