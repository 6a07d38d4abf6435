package import AsyncHTTPClient
package import PetrelKit

extension HTTPClient.Configuration.Proxy {
    package init(_ proxy: ProxyEnvironment.Proxy) {
        guard let user = proxy.user else {
            self = .server(host: proxy.host, port: proxy.port)
            return
        }
        self = .server(
            host: proxy.host, port: proxy.port,
            authorization: .basic(username: user, password: proxy.password ?? ""))
    }
}
