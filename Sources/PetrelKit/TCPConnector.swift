public import NIOCore
import NIOPosix
public import NIOSSL
import PetrelSupport

/// Opens TCP connections to a service, with TLS from the first byte or without TLS.
public struct TCPConnector: Sendable {
    /// An open connection.
    public typealias Connection = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    /// The protection of a connection.
    public enum Security: Sendable {
        /// TLS 1.2 or later, with the certificate authorities in a PEM file, or those of the system if the path is nil.
        case tls(trusting: String?)
        /// TLS with a context, for example one with a client certificate.
        case context(NIOSSLContext)
        /// No protection, for services on the same machine.
        case unencrypted
    }

    private let host: String
    private let port: Int
    private let security: Security
    private let authoritiesKey: String
    private let limit: Duration

    /// Creates a connector.
    /// - Parameters:
    ///   - host: the host name or the address of the service. With TLS, its certificate must be valid for it.
    ///   - authoritiesKey: the key of the settings that names the file with the certificate authorities, for errors.
    ///   - limit: the time limit for opening a connection, including the TLS handshake.
    public init(
        host: String, port: Int, security: Security, authoritiesKey: String = "ca_cert",
        within limit: Duration = .seconds(20)
    ) {
        self.host = host
        self.port = port
        self.security = security
        self.authoritiesKey = authoritiesKey
        self.limit = limit
    }

    /// Opens a connection, and returns it when it can carry data: with TLS, after the handshake.
    ///
    /// Throws ``BackendFailure`` with the reason, which is final if the file with the certificate authorities cannot be
    /// read. If the task is cancelled, throws at once.
    /// - Parameter loop: the event loop of the connection, such as that of the ``BackendContext``.
    public func open(on loop: any EventLoop) async throws -> Connection {
        let tls = try context()
        let opened = loop.makePromise(of: Connection.self)
        let limit = TimeAmount.nanoseconds(limit.nanoseconds)
        let connecting = connect(on: loop, tls, within: limit, opened)
        do {
            return try await opened.connection(over: connecting, within: limit, timeout: BackendFailure("timed out"))
        } catch let error where !(error is CancellationError) {
            let reason = TLSProblem.reason(error, host: host, authoritiesKey: authoritiesKey)
            throw BackendFailure("cannot connect to \(host):\(port): \(reason)")
        }
    }

    private func context() throws(BackendFailure) -> NIOSSLContext? {
        switch security {
        case .unencrypted: return nil
        case .context(let context): return context
        case .tls(let authorities):
            do {
                return try NIOSSLContext(configuration: .client(trusting: authorities))
            } catch {
                throw BackendFailure("cannot read \(authoritiesKey), which must be a PEM file: \(error)", isFinal: true)
            }
        }
    }

    private func connect(
        on loop: any EventLoop, _ tls: NIOSSLContext?, within limit: TimeAmount, _ opened: EventLoopPromise<Connection>
    ) -> EventLoopFuture<any Channel> {
        ClientBootstrap(group: loop)
            .connectTimeout(limit)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { [host] channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls {
                        try pipeline.addHandler(
                            NIOSSLClientHandler(context: tls, serverHostname: Self.isAddress(host) ? nil : host))
                    }
                    try pipeline.addHandler(
                        OpeningHandler(
                            opened, isEncrypted: tls != nil,
                            closed: BackendFailure("the server closed the connection")))
                }
            }
            .connect(host: host, port: port)
    }

    /// Returns true for an IP address, for which the certificate has to be issued then.
    private static func isAddress(_ host: String) -> Bool {
        (try? SocketAddress(ipAddress: host, port: 0)) != nil
    }
}

extension TLSConfiguration {
    /// Returns a configuration for the connection of a backend: TLS 1.2 or later. A connection closes within a second,
    /// also if the service does not answer.
    /// - Parameter authorities: the path of a PEM file with the certificate authorities to trust; nil for those of the
    ///   system.
    public static func client(trusting authorities: String? = nil) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.shutdownTimeout = .milliseconds(500)
        if let authorities { configuration.trustRoots = .file(authorities) }
        return configuration
    }
}
