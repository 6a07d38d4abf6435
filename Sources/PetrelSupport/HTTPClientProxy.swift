public import AsyncHTTPClient

extension HTTPClient.Configuration.Proxy {
    /// Creates the configuration of an HTTP client for a proxy from the environment, with its credentials if it has
    /// any.
    public init(_ proxy: ProxyEnvironment.Proxy) {
        guard let user = proxy.user else {
            self = .server(host: proxy.host, port: proxy.port)
            return
        }
        self = .server(
            host: proxy.host, port: proxy.port,
            authorization: .basic(username: user, password: proxy.password ?? ""))
    }
}
