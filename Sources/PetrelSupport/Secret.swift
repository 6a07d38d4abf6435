/// A password, token or key. String interpolation, `dump` and log statements show `•••` in place of the value.
public struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let value: String

    /// Creates a secret.
    public init(_ value: String) {
        self.value = value
    }

    /// Returns the secret value. Use it only to send the value, and never in a text for people.
    public func reveal() -> String { value }

    /// The text `•••`.
    public var description: String { "•••" }
    /// The text `•••`.
    public var debugDescription: String { "•••" }
    /// A mirror without children.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension Secret {
    /// Returns true if the secret equals a text. The time of the comparison depends only on the lengths. An empty
    /// secret matches nothing.
    public func matches(_ other: String) -> Bool {
        let mine = Array(value.utf8)
        let theirs = Array(other.utf8)
        var difference = UInt8(mine.count == theirs.count ? 0 : 1)
        for index in theirs.indices where !mine.isEmpty {
            difference |= theirs[index] ^ mine[index % mine.count]
        }
        return difference == 0 && !mine.isEmpty
    }
}
