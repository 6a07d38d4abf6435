import Foundation
import PetrelKit

/// Whose `X-Forwarded-For` is believed.
package struct TrustedProxies: Sendable {
    private let networks: [IPNetwork]

    /// Nil where an entry is neither an address nor a network.
    package init?(_ entries: [String]) {
        let networks = entries.map { IPNetwork($0) }
        guard !networks.contains(nil) else { return nil }
        self.networks = networks.compactMap { $0 }
    }

    /// Returns whether an entry holds every address of its kind, as `0.0.0.0/0` does.
    package static func isEverybody(_ entry: String) -> Bool { IPNetwork(entry)?.length == 0 }

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
