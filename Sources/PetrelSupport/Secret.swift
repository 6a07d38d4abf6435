/// A password, token or key. It never prints: interpolation, `dump` and logs show `•••`.
public struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let value: String

    public init(_ value: String) {
        self.value = value
    }

    /// The secret itself, for the wire only.
    public func reveal() -> String { value }

    public var description: String { "•••" }
    public var debugDescription: String { "•••" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension Secret {
    /// Equality in a time that depends on the lengths only.
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
