import Foundation
import PetrelKit
import PetrelSupport

/// Whose `X-Forwarded-For` is believed.
package struct TrustedProxies: Sendable {
    private let networks: [IPNetwork]

    /// Nil where an entry is neither an address nor a network.
    package init?(_ entries: [String]) {
        let networks = entries.map { IPNetwork($0) }
        guard !networks.contains(nil) else { return nil }
        self.networks = networks.compactMap { $0 }
    }

    /// Returns what is too wide about an entry: every address of its kind, or a large part of them, which no network that
    /// belongs to one owner is (RFC 1918 has 10.0.0.0/8, RFC 4193 has fc00::/7); nil where nothing is.
    package static func excess(of entry: String) -> String? {
        guard let network = IPNetwork(entry), network.length < (network.isVersion6 ? 7 : 8) else { return nil }
        return network.length == 0 ? "is every address" : "is a large part of all addresses"
    }

    /// Returns whether an address is that of a trusted proxy.
    func contains(_ address: String) -> Bool {
        guard let address = IPNetwork(address) else { return false }
        return networks.contains { $0.contains(address) }
    }

    /// Where a request comes from: the last address that no trusted proxy has. What others wrote before it is theirs.
    /// - Parameters:
    ///   - peer: the other end of the connection.
    ///   - forwarded: `X-Forwarded-For`, its fields joined with commas.
    package func origin(of peer: String, forwarded: String?) -> String {
        var origin = peer
        for hop in (forwarded ?? "").unicodeScalars.split(separator: ",").reversed() {
            guard contains(origin) else { break }
            let next = String(hop).trimmingCharacters(in: .whitespaces)
            guard !next.utf8.contains(UInt8(ascii: "/")), IPNetwork(next) != nil else { break }
            origin = next
        }
        return origin
    }
}
