public import Foundation
public import PetrelSupport

/// The settings of a ``StackStormClient``.
public struct StackStormSettings: Sendable {
    /// A login to StackStorm.
    public enum Login: Sendable {
        /// An API key, sent in the header `St2-Api-Key`.
        case apiKey(Secret)
        /// A token, sent in the header `X-Auth-Token`.
        case token(Secret)
        /// A user name and a password, which are exchanged for tokens (`POST /tokens`).
        case password(name: String, password: Secret)
    }

    /// The settings of TLS. The minimum version is TLS 1.2.
    public struct TLS: Sendable, Equatable {
        /// False to skip the verification of StackStorm's certificate.
        public var verifies = true
        /// The path of a PEM file with certificates of authorities to trust besides those of the system.
        public var authority: String?
        /// The path of a PEM file with the client certificate and its chain.
        public var certificate: String?
        /// The path of a PEM file with the key of the client certificate. If nil, the key is read from
        /// ``certificate``.
        public var key: String?

        /// Creates the default settings.
        public init() {}
    }

    /// The limits of the client.
    public struct Limits: Sendable {
        /// The time limit of a call, from its start to the last byte of the response.
        public var answer = Duration.seconds(30)
        /// The time limit for opening a connection, including the TLS handshake.
        public var connect = Duration.seconds(5)
        /// The maximum size of the body of a response, in bytes.
        public var body = 32 << 20
        /// The silence on the stream after which another connection is opened. StackStorm sends a heartbeat after 25 s
        /// without an event.
        public var silence = Duration.seconds(40)

        /// Creates the default limits.
        public init() {}
    }

    /// The URL of the authentication service, such as `https://st2.example.com/auth/v1`.
    public var auth: URL
    /// The URL of the API, such as `https://st2.example.com/api/v1`.
    public var api: URL
    /// The URL of the stream service, such as `https://st2.example.com/stream/v1`.
    public var stream: URL
    /// The login of the client, or nil to send no credential.
    public var login: Login?
    /// The requested lifetime of tokens, in seconds.
    public var tokenLifetime = 86_400
    /// The settings of TLS.
    public var tls = TLS()
    /// The limits of the client.
    public var limits = Limits()
    /// The environment variables in which `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` are looked up. The
    /// default is empty: no proxy is used.
    public var environment: [String: String] = [:]

    /// Creates settings with the default limits.
    public init(auth: URL, api: URL, stream: URL, login: Login? = nil) {
        self.auth = auth
        self.api = api
        self.stream = stream
        self.login = login
    }
}
