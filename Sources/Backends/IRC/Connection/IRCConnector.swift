import NIOCore
import NIOSSL
import PetrelKit

typealias IRCChannel = TCPConnector.Connection

/// Opens connections, with TLS from the first byte unless it is off.
struct IRCConnector: Sendable {
    let loop: any EventLoop
    let settings: IRCSettings

    /// Connects. Throws ``BackendFailure``, which is final if a file of the settings cannot be read.
    func open() async throws -> IRCChannel {
        try await TCPConnector(host: settings.server, port: settings.port, security: security()).open(on: loop)
    }

    private func security() throws(BackendFailure) -> TCPConnector.Security {
        guard settings.isEncrypted else { return .unencrypted }
        do {
            return .context(try NIOSSLContext(configuration: settings.tls()))
        } catch {
            throw BackendFailure(
                "cannot read ca_cert, client_cert or client_key, which must be PEM files: \(error)", isFinal: true)
        }
    }
}
