public import Foundation

extension URL {
    /// True unless the URL has a port that does not exist, which would end the program while a connection is made.
    public var hasValidPort: Bool { port.map { (1...65_535).contains($0) } ?? true }
}
