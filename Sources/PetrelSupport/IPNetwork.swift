import Foundation

/// An address or a network, as `10.0.0.0/8` or `::1`.
public struct IPNetwork: Sendable, Hashable {
    private let bytes: [UInt8]
    public let length: Int

    /// Nil where the text is neither.
    public init?(_ text: String) {
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

    public var isVersion6: Bool { bytes.count == 16 }

    /// The first bits, as text for a key.
    public func prefix(_ bits: Int) -> String { bytes.prefix(bits / 8).map { String(format: "%02x", $0) }.joined() }

    /// A key for an address: an IPv4 address itself, or the /64 of an IPv6 address. A person who has one has all of it.
    public static func key(of address: String) -> String {
        guard let network = IPNetwork(address), network.isVersion6 else { return address }
        return network.prefix(64)
    }

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
