public import Foundation

extension URL {
    /// The ports that a connection can have.
    private static let ports = 1...65_535

    /// Parses a URL to connect to.
    ///
    /// The URL of another service is input: SwiftNIO ends the process if the port of an IP address is too large.
    ///
    /// - Returns: Nil if the text is not a URL, or has a port that is not from 1 to 65535.
    public init?(connectable text: String) {
        self.init(string: text)
        guard hasValidPort else { return nil }
    }

    /// True if the URL has no port, or one from 1 to 65535.
    public var hasValidPort: Bool { port.map { Self.ports.contains($0) } ?? true }
}
