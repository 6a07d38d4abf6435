/// A text that equals another one only if both have the same scalars. `String` treats `é` as one scalar and as two as equal.
public struct ExactText: Sendable, Hashable {
    /// The text.
    public var text: String

    /// Creates a value.
    public init(_ text: String) { self.text = text }

    /// Returns true if both texts have the same scalars.
    public static func == (left: Self, right: Self) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

    /// Hashes the bytes of the text.
    public func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        hasher.combine(0xFF as UInt8)
    }
}
