public import Foundation
public import PetrelSupport

/// Where StackStorm is, and how to speak to it.
public struct StackStormSettings: Sendable {
    /// How the bot or a person proves who they are.
    public enum Login: Sendable {
        case apiKey(Secret)
        case token(Secret)
        case password(name: String, password: Secret)
    }

    public struct TLS: Sendable, Equatable {
        public var verifies = true
        /// Paths of PEM files.
        public var authority: String?
        public var certificate: String?
        public var key: String?

        public init() {}
    }

    public struct Limits: Sendable {
        /// For the whole answer, head and body.
        public var answer = Duration.seconds(30)
        public var connect = Duration.seconds(5)
        /// Bytes of one answer.
        public var body = 32 << 20
        /// Silence on the stream after which it is opened anew. StackStorm sends a heartbeat after 25 s.
        public var silence = Duration.seconds(40)

        public init() {}
    }

    public var auth: URL
    public var api: URL
    public var stream: URL
    public var login: Login?
    /// Seconds a token of ours is good for.
    public var tokenLifetime = 86_400
    public var tls = TLS()
    public var limits = Limits()
    /// `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are read from here.
    public var environment: [String: String] = [:]

    public init(auth: URL, api: URL, stream: URL, login: Login? = nil) {
        self.auth = auth
        self.api = api
        self.stream = stream
        self.login = login
    }
}
