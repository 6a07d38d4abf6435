public import Foundation

/// The proxy that the environment asks for, as curl reads it.
public struct ProxyEnvironment: Sendable {
    public struct Proxy: Sendable, Equatable {
        public var host: String
        public var port: Int
        public var user: String?
        public var password: String?

        /// Of `Proxy-Authorization` (RFC 7617); nil where none is needed.
        public var authorization: String? {
            user.map { "Basic " + Data("\($0):\(password ?? "")".utf8).base64EncodedString() }
        }
    }

    private let environment: [String: String]

    public init(_ environment: [String: String]) {
        self.environment = environment
    }

    /// - Parameter url: `ws` counts as `http`, and `wss` as `https`.
    public func proxy(for url: URL) -> Proxy? {
        let scheme = ["ws": "http", "wss": "https"][url.scheme ?? ""] ?? url.scheme ?? "http"
        let port = url.port ?? (scheme == "https" ? 443 : 80)
        guard let host = url.host(percentEncoded: false)?.lowercased(), !isExcluded(host, port: port),
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

    private func isExcluded(_ host: String, port: Int) -> Bool {
        let entries = (variable("no_proxy") ?? "").lowercased().unicodeScalars.split {
            $0 == "," || $0.properties.isWhitespace
        }
        return entries.contains { ProxyException(String($0)).covers(host, port: port) }
    }
}

/// One entry of `NO_PROXY`: `*`, a host with or without its subdomains, an address, or a network; each with a port or for all.
private struct ProxyException {
    private enum Subject {
        case everything
        case network(IPNetwork)
        /// With every host below it.
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

    /// `host:8443`, `[::1]:8443` and `[::1]/128` have parts; `::1` and `2001:db8::/32` have none.
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

    /// -1, which no address has, where what follows the colon is no port: the entry then covers nothing.
    private static func port(after colon: Substring.UnicodeScalarView) -> Int? {
        colon.isEmpty ? nil : Int(String(colon.dropFirst())) ?? -1
    }

    /// Without the dots around it, and without `*.` before it.
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
