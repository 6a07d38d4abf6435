import Foundation

/// An IPv4 or IPv6 address or network, such as `::1` or `10.0.0.0/8`.
public struct IPNetwork: Sendable, Hashable {
    private let bytes: [UInt8]
    /// The length of the network prefix, in bits: 32 or 128 for a single address.
    public let length: Int

    /// Parses an address or a network in CIDR notation (RFC 4632, RFC 4291).
    ///
    /// An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) becomes the IPv4 address. The initializer returns nil if the
    /// text is neither an address nor a network.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, var bytes = Self.bytes(of: String(first)) else { return nil }
        // A dual-stack socket reports IPv4 peers in this form.
        if bytes.count == 16, bytes.prefix(12) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF] {
            bytes = Array(bytes.suffix(4))
        }
        let most = bytes.count * 8
        guard parts.count == 1 || Int(parts[1]).map({ (0...most).contains($0) }) == true else { return nil }
        self.bytes = bytes
        length = parts.count == 1 ? most : Int(parts[1]) ?? most
    }

    /// True if the address is an IPv6 address.
    public var isVersion6: Bool { bytes.count == 16 }

    /// Returns the leading bits of the address in hexadecimal.
    ///
    /// - Parameter bits: The number of bits, a multiple of eight.
    public func prefix(_ bits: Int) -> String { bytes.prefix(bits / 8).map { String(format: "%02x", $0) }.joined() }

    /// Returns the key under which requests from an address are counted.
    ///
    /// The key is the address itself for IPv4, and the /64 network for IPv6, because a subscriber usually controls a
    /// whole /64. A text that is not an address is returned unchanged.
    public static func key(of address: String) -> String {
        guard let network = IPNetwork(address), network.isVersion6 else { return address }
        return network.prefix(64)
    }

    /// Returns true if an address is part of this network. An IPv4 network contains no IPv6 address, and vice versa.
    public func contains(_ address: IPNetwork) -> Bool {
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
