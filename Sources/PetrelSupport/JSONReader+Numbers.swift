extension JSONReader {
    /// Reads any number (RFC 8259, section 6). A number that is an `Int`, such as `2.0` and `1.5e3`, becomes one.
    mutating func number() -> JSONValue {
        let start = place
        _ = take(UInt8(ascii: "-"))
        let whole = digits()
        var isValid = whole > 0 && (whole == 1 || bytes[place - whole] != UInt8(ascii: "0"))
        let end = place
        var fraction = 0
        if take(UInt8(ascii: ".")) {
            fraction = digits()
            if fraction == 0 { isValid = false }
        }
        let hasZeros = bytes[end..<place].dropFirst().allSatisfy { $0 == UInt8(ascii: "0") }
        let hasExponent = take(UInt8(ascii: "e")) || take(UInt8(ascii: "E"))
        if hasExponent {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            if digits() == 0 { isValid = false }
        }
        guard isValid else { return fail() }
        if !hasExponent, hasZeros, let number = Int(text(start..<end)) { return .integer(number) }
        guard let number = Double(text(start..<place)), number.isFinite else { return fail() }
        if end == place { return .number(number) }
        return Int(exactly: number).map { .integer($0) } ?? .number(number)
    }

    private func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

    private mutating func fail() -> JSONValue {
        isPlain = false
        return .null
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard place < bytes.count, bytes[place] == byte else { return false }
        place += 1
        return true
    }

    /// Reads digits, and returns their number.
    private mutating func digits() -> Int {
        let start = place
        while place < bytes.count, (0x30...0x39).contains(bytes[place]) { place += 1 }
        return place - start
    }
}
