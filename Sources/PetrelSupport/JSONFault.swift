/// A finder of the first place at which a JSON text (RFC 8259) cannot be read, for messages to its author.
///
/// ``JSONReader`` is fast because it tells only that a text is not valid. This type reads the text again.
struct JSONFault {
    /// The depth of nesting that ``JSONReader`` accepts.
    private static let deepest = 512

    /// The reason, as a clause with the place; nil if the text can be read.
    private(set) var reason: String?
    private let bytes: [UInt8]
    private var place = 0
    private var depth = 0

    /// Reads a text up to its first fault.
    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        // The reader ignores a byte order mark.
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { place = 3 }
        value()
        if let byte = next() { invalid("\(Self.shown(byte)) follows the value") }
    }

    private mutating func value() {
        guard let byte = next() else { return invalid("the text ends where a value is expected") }
        switch byte {
        case UInt8(ascii: "\""): string()
        case UInt8(ascii: "{"):
            list(to: "}") { reader in
                guard reader.next() == UInt8(ascii: "\"") else {
                    return reader.invalid("a key in double quotation marks is expected")
                }
                reader.string()
                guard reader.take(":") else { return reader.invalid("a colon is expected after the key") }
                reader.value()
            }
        case UInt8(ascii: "["): list(to: "]") { $0.value() }
        default: word()
        }
    }

    /// Reads what is between two brackets. The current byte is the first one.
    private mutating func list(to end: Unicode.Scalar, _ item: (inout JSONFault) -> Void) {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.deepest else { return fail("it is nested more than \(Self.deepest) levels deep") }
        place += 1
        if take(end) { return }
        // The reader accepts a comma at the end.
        repeat { item(&self) } while reason == nil && take(",") && next() != UInt8(ascii: end)
        if reason == nil, !take(end) { invalid("a comma or \(end) is expected") }
    }

    /// Returns the next byte that is not white space; nil at the end of the text, and after the fault.
    private mutating func next() -> UInt8? {
        guard reason == nil else { return nil }
        while place < bytes.count, [0x20, 0x0A, 0x0D, 0x09].contains(bytes[place]) { place += 1 }
        return place < bytes.count ? bytes[place] : nil
    }

    private mutating func take(_ mark: Unicode.Scalar) -> Bool {
        guard next() == UInt8(ascii: mark) else { return false }
        place += 1
        return true
    }

    /// Reads a number or a literal.
    private mutating func word() {
        let rest = bytes[place...].prefix { byte in
            let scalar = Unicode.Scalar(byte)
            return scalar.properties.isAlphabetic && byte < 0x80 || (0x30...0x39).contains(byte)
                || "+-._".unicodeScalars.contains(scalar)
        }
        let text = String(decoding: rest, as: UTF8.self)
        if rest.isEmpty { return invalid("a value is expected, not \(Self.shown(bytes[place]))") }
        if ["true", "false", "null"].contains(text) {
            place += rest.count
            return
        }
        guard Self.isNumber(rest) else {
            return invalid("\(Printable.name(text)) is neither a number nor true, false or null")
        }
        guard let number = Double(text), number.isFinite else {
            return fail("the number \(Printable.name(text)) is out of range")
        }
        place += rest.count
    }

    private static func isNumber(_ text: ArraySlice<UInt8>) -> Bool {
        var rest = text[...]
        func digits() -> Int {
            let count = rest.prefix { (0x30...0x39).contains($0) }.count
            rest = rest.dropFirst(count)
            return count
        }
        if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
        let startsWithZero = rest.first == UInt8(ascii: "0")
        let whole = digits()
        guard whole > 0, whole == 1 || !startsWithZero else { return false }
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            guard digits() > 0 else { return false }
        }
        if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
            guard digits() > 0 else { return false }
        }
        return rest.isEmpty
    }

    private static func shown(_ byte: UInt8) -> String {
        (0x21...0x7E).contains(byte) ? "“\(Unicode.Scalar(byte))”" : "the byte \(hexadecimal(byte))"
    }

    private static func hexadecimal(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16, uppercase: true)
        return byte < 0x10 ? "0" + digits : digits
    }

    /// Records a fault of the syntax at the current place.
    private mutating func invalid(_ clause: String) { fail("it is not valid JSON: \(clause)") }

    private mutating func fail(_ clause: String) {
        guard reason == nil else { return }
        let before = bytes.prefix(place)
        let line = before.count { $0 == 0x0A } + 1
        let start = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        // Characters, not bytes, as editors count them.
        let column = before[start...].count { $0 & 0xC0 != 0x80 } + 1
        reason = "\(clause) (line \(line), column \(column))"
    }
}

extension JSONFault {
    /// Reads a string. The current byte is the opening quotation mark.
    private mutating func string() {
        let start = place
        place += 1
        while reason == nil, place < bytes.count {
            switch bytes[place] {
            case UInt8(ascii: "\""):
                place += 1
                return
            case UInt8(ascii: "\\"): escape()
            case 0..<0x20:
                return invalid("the byte \(Self.hexadecimal(bytes[place])) in a string has to be written as an escape")
            case 0..<0x80: place += 1
            default: character()
            }
        }
        if reason == nil {
            place = start
            invalid("the string that begins here does not end")
        }
    }

    /// Reads a character of several bytes.
    private mutating func character() {
        let byte = bytes[place]
        let count = byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
        guard String(validating: bytes[place...].prefix(count), as: UTF8.self)?.unicodeScalars.count == 1 else {
            return invalid("the byte \(Self.hexadecimal(byte)) is not UTF-8")
        }
        place += count
    }

    private mutating func escape() {
        guard place + 1 < bytes.count else { return place += 1 }
        switch bytes[place + 1] {
        case UInt8(ascii: "u"): escapedUnit()
        case let byte where "\"\\/bfnrt".utf8.contains(byte): place += 2
        case let byte: invalid("\(Self.shown(byte)) after a backslash is not an escape")
        }
    }

    /// Reads the escape of a UTF-16 code unit, or of a pair of surrogates.
    private mutating func escapedUnit() {
        guard let unit = unit(at: place) else { return invalid("\\u needs four hexadecimal digits") }
        if UTF16.isLeadSurrogate(unit), let trail = self.unit(at: place + 6), UTF16.isTrailSurrogate(trail) {
            place += 12
        } else if UTF16.isLeadSurrogate(unit) || UTF16.isTrailSurrogate(unit) {
            fail("\\u\(String(unit, radix: 16)) is half of a character, and the other half is missing")
        } else {
            place += 6
        }
    }

    private func unit(at place: Int) -> UInt16? {
        guard place + 6 <= bytes.count, bytes[place] == UInt8(ascii: "\\"), bytes[place + 1] == UInt8(ascii: "u"),
            bytes[place + 2..<place + 6].allSatisfy({ Unicode.Scalar($0).properties.isASCIIHexDigit })
        else { return nil }
        return UInt16(String(decoding: bytes[place + 2..<place + 6], as: UTF8.self), radix: 16)
    }
}
