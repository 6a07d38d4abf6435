import Foundation

/// An address or a network, as `10.0.0.0/8` or `::1`.
struct IPNetwork: Sendable, Hashable {
    private let bytes: [UInt8]
    private let length: Int

    /// Nil where the text is neither.
    init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, var bytes = Self.bytes(of: String(first)) else { return nil }
        // An IPv4 address that came over an IPv6 socket.
        if bytes.count == 16, bytes.prefix(12) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF] {
            bytes = Array(bytes.suffix(4))
        }
        let most = bytes.count * 8
        guard parts.count == 1 || Int(parts[1]).map({ (0...most).contains($0) }) == true else { return nil }
        self.bytes = bytes
        length = parts.count == 1 ? most : Int(parts[1]) ?? most
    }

    var isVersion6: Bool { bytes.count == 16 }

    /// The first bits, as text for a key.
    func prefix(_ bits: Int) -> String { bytes.prefix(bits / 8).map { String(format: "%02x", $0) }.joined() }

    /// A key for an address: an IPv4 address itself, or the /64 of an IPv6 address. A person who has one has all of it.
    static func key(of address: String) -> String {
        guard let network = IPNetwork(address), network.isVersion6 else { return address }
        return network.prefix(64)
    }

    func contains(_ address: IPNetwork) -> Bool {
        guard address.bytes.count == bytes.count else { return false }
        return (0..<length).allSatisfy { bit in
            (bytes[bit / 8] ^ address.bytes[bit / 8]) & (0x80 >> UInt8(bit % 8)) == 0
        }
    }

    private static func bytes(of text: String) -> [UInt8]? {
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 { return withUnsafeBytes(of: &four) { Array($0) } }
        var six = in6_addr()
        if inet_pton(AF_INET6, text, &six) == 1 { return withUnsafeBytes(of: &six) { Array($0) } }
        return nil
    }
}

/// Whose `X-Forwarded-For` is believed.
package struct TrustedProxies: Sendable {
    private let networks: [IPNetwork]

    /// Nil where an entry is neither an address nor a network.
    package init?(_ entries: [String]) {
        let networks = entries.map { IPNetwork($0) }
        guard !networks.contains(nil) else { return nil }
        self.networks = networks.compactMap { $0 }
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
        for hop in (forwarded ?? "").split(separator: ",").reversed() {
            guard contains(origin) else { break }
            let next = hop.trimmingCharacters(in: .whitespaces)
            guard !next.utf8.contains(UInt8(ascii: "/")), IPNetwork(next) != nil else { break }
            origin = next
        }
        return origin
    }
}
