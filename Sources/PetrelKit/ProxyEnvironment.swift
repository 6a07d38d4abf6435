package import Foundation

/// The proxy that the environment asks for, as curl reads it.
package struct ProxyEnvironment: Sendable {
    package struct Proxy: Sendable, Equatable {
        package var host: String
        package var port: Int
        package var user: String?
        package var password: String?

        /// Of `Proxy-Authorization` (RFC 7617); nil where none is needed.
        package var authorization: String? {
            user.map { "Basic " + Data("\($0):\(password ?? "")".utf8).base64EncodedString() }
        }
    }

    private let environment: [String: String]

    package init(_ environment: [String: String]) {
        self.environment = environment
    }

    /// - Parameter url: `ws` counts as `http`, and `wss` as `https`.
    package func proxy(for url: URL) -> Proxy? {
        let scheme = ["ws": "http", "wss": "https"][url.scheme ?? ""] ?? url.scheme ?? "http"
        guard let host = url.host(percentEncoded: false)?.lowercased(), !isExcluded(host),
            let text = variable("\(scheme)_proxy") ?? variable("all_proxy"),
            let proxy = URL(string: text.contains("://") ? text : "http://\(text)"),
            let name = proxy.host(percentEncoded: false)
        else { return nil }
        return Proxy(
            host: name, port: proxy.port ?? 3128, user: proxy.user(percentEncoded: false),
            password: proxy.password(percentEncoded: false))
    }

    private func variable(_ name: String) -> String? {
        [name, name.uppercased()].lazy.compactMap { environment[$0] }.first { !$0.isEmpty }
    }

    private func isExcluded(_ host: String) -> Bool {
        (variable("no_proxy") ?? "").lowercased().split(separator: ",").contains { entry in
            let entry = entry.drop { $0 == " " || $0 == "." }.prefix { $0 != " " && $0 != ":" }
            return entry == "*" || (!entry.isEmpty && (host == entry || host.hasSuffix("." + entry)))
        }
    }
}
