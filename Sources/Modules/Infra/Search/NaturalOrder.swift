/// The order of names in which a person counts: `web-2` is before `web-10`.
enum NaturalOrder {
    /// Returns true if a name is before another. Numbers in names are compared by their values, the rest by bytes.
    static func precedes(_ left: String, _ right: String) -> Bool {
        var (a, b) = (Array(left.utf8)[...], Array(right.utf8)[...])
        while let first = a.first, let second = b.first {
            if isDigit(first), isDigit(second) {
                let (one, other) = (number(&a), number(&b))
                if one.count != other.count { return one.count < other.count }
                if one != other { return one.lexicographicallyPrecedes(other) }
            } else {
                if first != second { return first < second }
                a.removeFirst()
                b.removeFirst()
            }
        }
        guard a.isEmpty == b.isEmpty else { return a.isEmpty }
        // The names differ only in leading zeros.
        return left.utf8.lexicographicallyPrecedes(right.utf8)
    }

    /// Removes the digits at the start, and returns them without leading zeros.
    private static func number(_ bytes: inout ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let digits = bytes.prefix(while: isDigit)
        bytes = bytes[digits.endIndex...]
        return digits.drop { $0 == 0x30 }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}
