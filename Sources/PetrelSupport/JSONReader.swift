/// A fast reader for a subset of JSON (RFC 8259).
///
/// The reader takes about a tenth of the time of Foundation's decoder; with that alone a command takes 1.12 times the CPU
/// (`make bench-peer`). It does not support numbers with a fraction or
/// an exponent, integers of more than 18 digits, escaped surrogates, repeated keys, or more than 64 levels of nesting.
/// It returns nil for these and for malformed input. ``JSONValue/parse(_:)`` supports all of JSON.
///
/// Do not fall back to `JSONDecoder` for input: the time that it takes to decode a ``JSONValue`` grows with the cube of the
/// nesting. A list of 400 levels, which has 800 bytes, takes most of a second.
public struct JSONReader {
    private static let deepest = 64
    /// The maximum nesting of any text, which is that of `JSONDecoder`.
    private static let deepestOfAll = 512

    let bytes: UnsafeBufferPointer<UInt8>
    var place = 0
    private var depth = 0
    /// False after a construct that is malformed or not supported.
    var isPlain = true
    /// True to support all of JSON.
    private let isComplete: Bool

    private init(_ bytes: UnsafeBufferPointer<UInt8>, isComplete: Bool = false) {
        self.bytes = bytes
        self.isComplete = isComplete
    }

    /// Returns the value of any JSON text, or throws an error with the place of the mistake. The first one of repeated keys
    /// counts, as for `JSONDecoder`.
    static func complete(_ bytes: some Collection<UInt8>) throws(DecodingError) -> JSONValue {
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let array = Array(bytes.starts(with: mark) ? bytes.dropFirst(mark.count) : bytes[...])
        let (value, place) = array.withUnsafeBufferPointer { bytes in
            var reader = JSONReader(bytes, isComplete: true)
            let value = reader.value()
            _ = reader.next()
            return (reader.isPlain && reader.place == bytes.count ? value : nil, reader.place)
        }
        guard let value else {
            let context = DecodingError.Context(codingPath: [], debugDescription: "invalid JSON at byte \(place)")
            throw DecodingError.dataCorrupted(context)
        }
        return value
    }

    /// Returns the value of a JSON text in UTF-8, or nil if the text is malformed or outside the supported subset.
    public static func value(_ bytes: some Collection<UInt8>) -> JSONValue? { read(bytes) { $0.value() } }

    /// Reads a JSON text with a closure.
    ///
    /// - Parameters:
    ///   - bytes: The text, in UTF-8 and in contiguous storage.
    ///   - body: A closure that consumes exactly one value with ``value()``, ``fields(_:)`` or ``skip()``.
    /// - Returns: The result of the closure, or nil if the text is malformed or outside the supported subset.
    public static func read<Value>(
        _ bytes: some Collection<UInt8>, _ body: (inout JSONReader) -> Value
    ) -> Value? {
        let value: Value?? = bytes.withContiguousStorageIfAvailable { bytes in
            var reader = JSONReader(bytes)
            let value = body(&reader)
            _ = reader.next()
            return reader.isPlain && reader.place == bytes.count ? value : nil
        }
        return value ?? nil
    }

    /// Reads the next value.
    ///
    /// The result is meaningless if the value is malformed or outside the supported subset; ``read(_:_:)`` then returns
    /// nil.
    public mutating func value() -> JSONValue {
        switch next() {
        case UInt8(ascii: "\""): return .string(string())
        case UInt8(ascii: "{"):
            var object: [String: JSONValue] = [:]
            fields { key, reader in
                let value = reader.value()
                if object[key] == nil {
                    object[key] = value
                } else if !reader.isComplete {
                    reader.isPlain = false
                }
            }
            return .object(object)
        case UInt8(ascii: "["):
            var array: [JSONValue] = []
            elements { array.append($0.value()) }
            return .array(array)
        case UInt8(ascii: "t"): return literal("true", .bool(true))
        case UInt8(ascii: "f"): return literal("false", .bool(false))
        case UInt8(ascii: "n"): return literal("null", .null)
        default: return isComplete ? number() : .integer(integer())
        }
    }

    /// Reads the next value, an object, and calls a closure for each field.
    ///
    /// - Parameter body: A closure that consumes the value of the field with ``value()``, ``fields(_:)`` or ``skip()``.
    public mutating func fields(_ body: (_ key: String, inout JSONReader) -> Void) {
        all(from: "{", to: "}") { reader in
            guard reader.next() == UInt8(ascii: "\"") else { return reader.isPlain = false }
            let key = reader.string()
            reader.take(":")
            if reader.isPlain { body(key, &reader) }
        }
    }

    private mutating func elements(_ body: (inout JSONReader) -> Void) { all(from: "[", to: "]", body) }

    /// Skips the next value. Numbers with a fraction or an exponent are accepted here.
    public mutating func skip() {
        switch next() {
        case UInt8(ascii: "{"): fields { _, reader in reader.skip() }
        case UInt8(ascii: "["): elements { $0.skip() }
        case UInt8(ascii: "\""): passOverString()
        case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"): _ = value()
        default:
            let start = place
            while place < bytes.count, Self.isOfNumber(bytes[place]) { place += 1 }
            if place == start { isPlain = false }
        }
    }

    private mutating func all(
        from start: Unicode.Scalar, to end: Unicode.Scalar, _ body: (inout JSONReader) -> Void
    ) {
        take(start)
        depth += 1
        defer { depth -= 1 }
        if depth > (isComplete ? Self.deepestOfAll : Self.deepest) { isPlain = false }
        if next() == UInt8(ascii: end) {
            place += 1
            return
        }
        while isPlain {
            body(&self)
            if next() == UInt8(ascii: ",") {
                place += 1
                // `JSONDecoder` accepts a comma at the end, too.
                guard isComplete, next() == UInt8(ascii: end) else { continue }
                return take(end)
            } else {
                return take(end)
            }
        }
    }

    /// Returns the next byte that is not white space, or nil at the end of the text and after an unsupported construct.
    private mutating func next() -> UInt8? {
        guard isPlain else { return nil }
        while place < bytes.count {
            let byte = bytes[place]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
            place += 1
        }
        return nil
    }

    private mutating func take(_ character: Unicode.Scalar) {
        if next() == UInt8(ascii: character) { place += 1 } else { isPlain = false }
    }

    private mutating func literal(_ word: StaticString, _ value: JSONValue) -> JSONValue {
        let isThere = word.withUTF8Buffer { word in
            place + word.count <= bytes.count && bytes[place..<place + word.count].elementsEqual(word)
        }
        if isThere { place += word.utf8CodeUnitCount } else { isPlain = false }
        return value
    }

    private mutating func integer() -> Int {
        let isNegative = place < bytes.count && bytes[place] == UInt8(ascii: "-")
        if isNegative { place += 1 }
        let start = place
        var number = 0
        // 19 digits may overflow Int.
        while place < bytes.count, place - start < 18, (0x30...0x39).contains(bytes[place]) {
            number = number * 10 + Int(bytes[place] - 0x30)
            place += 1
        }
        let beginsWithZero = place > start && bytes[start] == 0x30
        if place == start || (beginsWithZero && (place - start > 1 || isNegative)) { isPlain = false }
        if place < bytes.count, Self.isOfNumber(bytes[place]) { isPlain = false }
        return isNegative ? -number : number
    }

    private static func isOfNumber(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"):
            true
        default: false
        }
    }

    /// Reads a string. The current byte is the opening quotation mark.
    private mutating func string() -> String {
        let start = place + 1
        var end = start
        while end < bytes.count, bytes[end] != UInt8(ascii: "\""), bytes[end] != UInt8(ascii: "\\"), bytes[end] >= 0x20
        {
            end += 1
        }
        guard end < bytes.count, bytes[end] >= 0x20 else {
            isPlain = false
            return ""
        }
        guard bytes[end] == UInt8(ascii: "\"") else { return escapedString(from: start, firstEscape: end) }
        place = end + 1
        return text(UnsafeBufferPointer(rebasing: bytes[start..<end]))
    }

    private mutating func text(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            isPlain = false
            return ""
        }
        return text
    }

    private mutating func escapedString(from start: Int, firstEscape: Int) -> String {
        var text = Array(bytes[start..<firstEscape])
        place = firstEscape
        while place < bytes.count, isPlain {
            let byte = bytes[place]
            place += 1
            switch byte {
            case UInt8(ascii: "\""): return text.withUnsafeBufferPointer { self.text($0) }
            case UInt8(ascii: "\\"): unescape(into: &text)
            case 0..<0x20: isPlain = false
            default: text.append(byte)
            }
        }
        isPlain = false
        return ""
    }

    private mutating func unescape(into text: inout [UInt8]) {
        guard place < bytes.count else { return isPlain = false }
        let byte = bytes[place]
        place += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "u"):
            guard let unit = unit(), let scalar = Unicode.Scalar(unit) ?? (isComplete ? pair(after: unit) : nil) else {
                return isPlain = false
            }
            text.append(contentsOf: String(scalar).utf8)
        default: isPlain = false
        }
    }

    /// Reads four hexadecimal digits, or returns nil.
    private mutating func unit() -> UInt32? {
        guard place + 4 <= bytes.count else { return nil }
        var code: UInt32 = 0
        for digit in bytes[place..<place + 4] {
            guard let value = Character(Unicode.Scalar(digit)).hexDigitValue else { return nil }
            code = code << 4 | UInt32(value)
        }
        place += 4
        return code
    }

    /// Reads the second half of a surrogate pair. Returns the scalar, or nil.
    private mutating func pair(after first: UInt32) -> Unicode.Scalar? {
        guard (0xD800..<0xDC00).contains(first), place + 1 < bytes.count, bytes[place] == UInt8(ascii: "\\"),
            bytes[place + 1] == UInt8(ascii: "u")
        else { return nil }
        place += 2
        guard let second = unit(), (0xDC00...0xDFFF).contains(second) else { return nil }
        return Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
    }

    private mutating func passOverString() {
        place += 1
        while place < bytes.count {
            let byte = bytes[place]
            place += byte == UInt8(ascii: "\\") ? 2 : 1
            if byte == UInt8(ascii: "\"") { return }
        }
        isPlain = false
    }
}
