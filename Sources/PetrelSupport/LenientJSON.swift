/// A parser for JSON that contains invalid values, such as Python's `json` module can write.
///
/// The parser accepts `NaN` and `Infinity`, numbers out of range, unpaired surrogates, invalid escapes, bytes that are
/// not UTF-8, repeated keys (the last value counts), and any depth of nesting. It replaces a value that it cannot
/// represent with null and a part of a string with U+FFFD, and counts the replacements.
public struct LenientJSON {
    /// The maximum depth of nesting. Deeper values are replaced.
    private static let deepest = 100

    private let bytes: [UInt8]
    private var place = 0
    private var depth = 0
    /// The number of values and parts of strings that were replaced.
    private var losses = 0

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Parses a JSON text.
    ///
    /// - Returns: The value and the number of replacements, or nil if the structure of the text is malformed.
    public static func read(_ bytes: some Collection<UInt8>) -> (value: JSONValue, losses: Int)? {
        var reader = LenientJSON(Array(bytes))
        guard let value = reader.value(), reader.next() == nil else { return nil }
        return (value, reader.losses)
    }

    private mutating func value() -> JSONValue? {
        switch next() {
        case UInt8(ascii: "\""): return string().map { .string($0) }
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            guard depth < Self.deepest else { return passOver() }
            depth += 1
            defer { depth -= 1 }
            return bytes[place] == UInt8(ascii: "{") ? object() : array()
        case nil: return nil
        default: return word()
        }
    }

    private mutating func object() -> JSONValue? {
        var object: [String: JSONValue] = [:]
        place += 1
        if take("}") { return .object(object) }
        repeat {
            guard next() == UInt8(ascii: "\""), let key = string(), take(":"), let value = value() else { return nil }
            // Python's parser also keeps the last one.
            if object.updateValue(value, forKey: key) != nil { losses += 1 }
        } while take(",")
        return take("}") ? .object(object) : nil
    }

    private mutating func array() -> JSONValue? {
        var array: [JSONValue] = []
        place += 1
        if take("]") { return .array(array) }
        repeat {
            guard let value = value() else { return nil }
            array.append(value)
        } while take(",")
        return take("]") ? .array(array) : nil
    }

    /// Skips a value that is nested too deeply, without recursion.
    private mutating func passOver() -> JSONValue? {
        losses += 1
        var open: [UInt8] = []
        repeat {
            guard let byte = next() else { return nil }
            switch byte {
            case UInt8(ascii: "{"), UInt8(ascii: "["): open.append(byte)
            case UInt8(ascii: "}"): guard open.popLast() == UInt8(ascii: "{") else { return nil }
            case UInt8(ascii: "]"): guard open.popLast() == UInt8(ascii: "[") else { return nil }
            case UInt8(ascii: "\""):
                guard string() != nil else { return nil }
                continue
            default: break
            }
            place += 1
        } while !open.isEmpty
        return .null
    }

    /// Reads a number, or one of the words `true`, `false`, `null`, `NaN`, `Infinity` and `-Infinity`.
    private mutating func word() -> JSONValue? {
        let start = place
        while place < bytes.count, Self.isOfWord(bytes[place]) { place += 1 }
        guard place > start else { return nil }
        let text = String(decoding: bytes[start..<place], as: UTF8.self)
        switch text {
        case "true": return .bool(true)
        case "false": return .bool(false)
        case "null": return .null
        default: break
        }
        if let number = Int(text), text.utf8.first != UInt8(ascii: "+") { return .integer(number) }
        if Self.isNumber(text), let number = Double(text), number.isFinite {
            // Foundation's decoder also decodes `1.5e3` as the integer 1500.
            return Int(exactly: number).map { .integer($0) } ?? .number(number)
        }
        losses += 1
        return .null
    }

    private static func isNumber(_ text: String) -> Bool {
        text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "e"),
                UInt8(ascii: "E"):
                true
            default: false
            }
        }
    }

    private static func isOfWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."): true
        default: false
        }
    }

    private mutating func next() -> UInt8? {
        while place < bytes.count {
            let byte = bytes[place]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
            place += 1
        }
        return nil
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard next() == UInt8(ascii: character) else { return false }
        place += 1
        return true
    }

    /// Reads a string, or returns nil if the text ends within it.
    private mutating func string() -> String? {
        place += 1
        var text: [UInt8] = []
        while place < bytes.count {
            let byte = bytes[place]
            place += 1
            switch byte {
            case UInt8(ascii: "\""):
                if let whole = String(validating: text, as: UTF8.self) { return whole }
                losses += 1
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"): unescape(into: &text)
            default: text.append(byte)
            }
        }
        return nil
    }

    private mutating func unescape(into text: inout [UInt8]) {
        guard place < bytes.count else { return }
        let byte = bytes[place]
        place += 1
        switch byte {
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "u"): text.append(contentsOf: String(escapedScalar()).utf8)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        default:
            losses += 1
            text.append(byte)
        }
    }

    /// Reads the scalar after `\u`: one code unit, or a surrogate pair.
    private mutating func escapedScalar() -> Unicode.Scalar {
        guard let first = unit() else { return lost() }
        if let scalar = Unicode.Scalar(first) { return scalar }
        let back = place
        guard first < 0xDC00, place + 1 < bytes.count, bytes[place] == UInt8(ascii: "\\"),
            bytes[place + 1] == UInt8(ascii: "u")
        else { return lost() }
        place += 2
        if let second = unit(), (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        {
            return scalar
        }
        place = back
        return lost()
    }

    private mutating func lost() -> Unicode.Scalar {
        losses += 1
        return "\u{FFFD}"
    }

    /// Reads four hexadecimal digits, or returns nil without consuming anything.
    private mutating func unit() -> UInt32? {
        guard place + 4 <= bytes.count else { return nil }
        var unit: UInt32 = 0
        for byte in bytes[place..<place + 4] {
            let digit: UInt8
            switch byte {
            case 0x30...0x39: digit = byte - 0x30
            case 0x41...0x46: digit = byte - 0x37
            case 0x61...0x66: digit = byte - 0x57
            default: return nil
            }
            unit = unit << 4 | UInt32(digit)
        }
        place += 4
        return unit
    }
}
