import Foundation
import PetrelKit
import PetrelSupport

/// The proxies whose `X-Forwarded-For` header is trusted.
package struct TrustedProxies: Sendable {
    private let networks: [IPNetwork]

    /// Parses addresses and networks. Returns nil if an entry is neither.
    package init?(_ entries: [String]) {
        let networks = entries.map { IPNetwork($0) }
        guard !networks.contains(nil) else { return nil }
        self.networks = networks.compactMap { $0 }
    }

    /// Returns a warning about an entry that contains too many addresses, or nil if none exists.
    ///
    /// An entry is too large if it is larger than the largest private networks, 10.0.0.0/8 (RFC 1918) and fc00::/7
    /// (RFC 4193).
    package static func excess(of entry: String) -> String? {
        guard let network = IPNetwork(entry), network.length < (network.isVersion6 ? 7 : 8) else { return nil }
        return network.length == 0 ? "contains every address" : "contains a large part of all addresses"
    }

    /// Returns true if an address belongs to a trusted proxy.
    func contains(_ address: String) -> Bool {
        guard let address = IPNetwork(address) else { return false }
        return networks.contains { $0.contains(address) }
    }

    /// Returns the origin of a request: the last address that does not belong to a trusted proxy.
    ///
    /// Earlier entries of the header are ignored, because a client can forge them.
    ///
    /// - Parameters:
    ///   - peer: The address of the peer of the connection.
    ///   - forwarded: The `X-Forwarded-For` fields, joined with commas.
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
