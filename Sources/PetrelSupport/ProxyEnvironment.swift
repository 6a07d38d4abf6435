public import Foundation

/// The proxy settings in environment variables, interpreted as curl interprets them.
///
/// The variables are `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, in lower or upper case; lower case takes
/// precedence.
public struct ProxyEnvironment: Sendable {
    /// An HTTP proxy.
    public struct Proxy: Sendable, Equatable {
        /// The host name or address.
        public var host: String
        /// The TCP port.
        public var port: Int
        /// The user name, or nil if the proxy requires no authentication.
        public var user: String?
        /// The password, if there is one.
        public var password: String?

        /// The value of `Proxy-Authorization` for basic authentication (RFC 7617), or nil if there is no user name.
        public var authorization: String? {
            user.map { "Basic " + Data("\($0):\(password ?? "")".utf8).base64EncodedString() }
        }
    }

    private let environment: [String: String]

    /// Creates the proxy settings from environment variables, such as `ProcessInfo.processInfo.environment`.
    public init(_ environment: [String: String]) {
        self.environment = environment
    }

    /// Returns the proxy for a URL, or nil if the URL is to be reached directly.
    ///
    /// The default port of a proxy is 3128. A port that does not exist becomes 0.
    ///
    /// - Parameter url: The URL to reach. The scheme `ws` is treated as `http`, and `wss` as `https`.
    public func proxy(for url: URL) -> Proxy? {
        let scheme = ["ws": "http", "wss": "https"][url.scheme ?? ""] ?? url.scheme ?? "http"
        let port = url.port ?? (scheme == "https" ? 443 : 80)
        guard let host = url.host(percentEncoded: false)?.lowercased(), !isExcluded(host, port: port),
            let text = variable("\(scheme)_proxy") ?? variable("all_proxy"),
            let proxy = URL(string: text.contains("://") ? text : "http://\(text)"),
            let name = proxy.host(percentEncoded: false)
        else { return nil }
        // No connection can be made to port 0, so that a mistake does not lead around the proxy.
        return Proxy(
            host: name, port: proxy.hasValidPort ? proxy.port ?? 3128 : 0, user: proxy.user(percentEncoded: false),
            password: proxy.password(percentEncoded: false))
    }

    private func variable(_ name: String) -> String? {
        [name, name.uppercased()].lazy.compactMap { environment[$0] }.first { !$0.isEmpty }
    }

    private func isExcluded(_ host: String, port: Int) -> Bool {
        let entries = (variable("no_proxy") ?? "").lowercased().unicodeScalars.split {
            $0 == "," || $0.properties.isWhitespace
        }
        return entries.contains { ProxyException(String($0)).covers(host, port: port) }
    }
}

/// An entry of `NO_PROXY`: `*`, a domain, an address, or a network, for one port or for all ports.
private struct ProxyException {
    private enum Subject {
        case everything
        case network(IPNetwork)
        /// A host name and all its subdomains.
        case domain(String)
    }

    private let subject: Subject
    private let port: Int?

    init(_ entry: String) {
        let (text, port) = Self.parts(of: entry)
        self.port = port
        if text == "*" {
            subject = .everything
        } else if let network = IPNetwork(text) {
            subject = .network(network)
        } else {
            subject = .domain(Self.plain(text))
        }
    }

    /// Splits an entry such as `host:8443`, `[::1]:8443` or `[::1]/128` into the host and the port. `::1` and
    /// `2001:db8::/32` have no port.
    private static func parts(of entry: String) -> (String, Int?) {
        let scalars = entry.unicodeScalars
        if scalars.first == "[", let end = scalars.firstIndex(of: "]") {
            let address = String(scalars[scalars.index(after: scalars.startIndex)..<end])
            let rest = scalars[scalars.index(after: end)...]
            return rest.first == "/" ? (address + String(rest), nil) : (address, port(after: rest))
        }
        guard let colon = scalars.firstIndex(of: ":"), scalars.lastIndex(of: ":") == colon else { return (entry, nil) }
        return (String(scalars[..<colon]), port(after: scalars[colon...]))
    }

    /// Returns the port after a colon. An invalid port becomes -1, which matches nothing.
    private static func port(after colon: Substring.UnicodeScalarView) -> Int? {
        colon.isEmpty ? nil : Int(String(colon.dropFirst())) ?? -1
    }

    /// Returns a name without leading and trailing dots and without a leading `*.`.
    private static func plain(_ name: String) -> String {
        let start = Array(name.unicodeScalars.drop { $0 == "*" || $0 == "." })
        let end = start.lastIndex { $0 != "." } ?? -1
        return String(String.UnicodeScalarView(start.prefix(end + 1)))
    }

    func covers(_ host: String, port: Int) -> Bool {
        if let wanted = self.port, wanted != port { return false }
        switch subject {
        case .everything: return true
        case .network(let network): return IPNetwork(host).map(network.contains) == true
        case .domain(let domain):
            let host = Self.plain(host)
            return !domain.isEmpty
                && (host == domain || Array(host.utf8).suffix(domain.utf8.count + 1).elementsEqual(("." + domain).utf8))
        }
    }
}
