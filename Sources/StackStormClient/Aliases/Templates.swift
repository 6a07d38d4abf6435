package import PetrelSupport

/// The detection and encoding of templates in text: Jinja (`{{`, `{%`, `{#`) and YAQL (`<%`).
///
/// StackStorm evaluates templates in many places. The search is by bytes and not by characters, because a `Character`
/// can combine a brace with a neighbour.
package enum Templates {
    /// Returns true if a text contains the start of a template.
    package static func isFound(in text: some StringProtocol) -> Bool {
        var last: UInt8 = 0
        for byte in text.utf8 {
            switch (last, byte) {
            case (UInt8(ascii: "{"), UInt8(ascii: "{")), (UInt8(ascii: "{"), UInt8(ascii: "%")),
                (UInt8(ascii: "{"), UInt8(ascii: "#")), (UInt8(ascii: "<"), UInt8(ascii: "%")):
                return true
            default: last = byte
            }
        }
        return false
    }

    /// Returns a text that cannot contain a template.
    ///
    /// If the text contains `{` or `<`, the characters `{`, `}`, `<`, `>` and `%` are percent-encoded. Other texts are
    /// returned unchanged.
    package static func disarmed(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "<") }) else { return text }
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "{": result.append(contentsOf: "%7B".unicodeScalars)
            case "}": result.append(contentsOf: "%7D".unicodeScalars)
            case "<": result.append(contentsOf: "%3C".unicodeScalars)
            case ">": result.append(contentsOf: "%3E".unicodeScalars)
            case "%": result.append(contentsOf: "%25".unicodeScalars)
            default: result.append(scalar)
            }
        }
        return String(result)
    }

    /// Returns true if the value of a parameter contains a template after StackStorm has cast it to the type of its
    /// schema.
    ///
    /// StackStorm (`st2common.util.casts`) reads an `object` as JSON, and as a Python literal if it is not valid JSON.
    /// It reads an `array` in the same way, or splits it at its commas.
    ///
    /// - Parameters:
    ///   - value: The value as text.
    ///   - type: The type in the JSON Schema of the parameter, or nil if it is not known.
    /// - Returns: Nil if the result of the cast is not known.
    package static func isFound(in value: String, castTo type: String?) -> Bool? {
        if isFound(in: value) { return true }
        // A cast can create a template only from an escape sequence or from two adjacent strings.
        guard type == nil || type == "object" || type == "array",
            value.utf8.contains(where: { $0 == 0x5C || $0 == 0x22 || $0 == 0x27 })
        else { return false }
        if (try? JSONValue.parse(value.utf8)) != nil { return isFoundInStrings(ofJSON: value) }
        guard let strings = pythonStrings(in: value) else {
            return type == nil && !looksStructured(value) ? false : nil
        }
        return strings.contains { isFound(in: $0) }
    }

    /// Returns true if a string in a JSON text contains a template.
    ///
    /// All strings of the text are checked, because parsers differ in which value of a repeated key they keep.
    private static func isFoundInStrings(ofJSON value: String) -> Bool {
        var rest = Array(value.utf8)[...]
        while let start = rest.firstIndex(of: UInt8(ascii: "\"")) {
            var end = start + 1
            while end < rest.endIndex, rest[end] != UInt8(ascii: "\"") {
                end += rest[end] == UInt8(ascii: "\\") ? 2 : 1
            }
            guard end < rest.endIndex, let text = (try? JSONValue.parse(rest[start...end]))?.string,
                !isFound(in: text)
            else { return true }
            rest = rest[(end + 1)...]
        }
        return false
    }

    /// Returns true if a string or a key in a JSON value contains the start of a template.
    package static func isFound(in value: JSONValue) -> Bool {
        switch value {
        case .string(let text): isFound(in: text)
        case .array(let values): values.contains { isFound(in: $0) }
        case .object(let object): object.contains { isFound(in: $0.key) || isFound(in: $0.value) }
        case .null, .bool, .integer, .number: false
        }
    }

    private static func looksStructured(_ value: String) -> Bool {
        let first = value.unicodeScalars.first { !$0.properties.isWhitespace }
        return first.map { "{[(\"'".unicodeScalars.contains($0) } ?? false
    }

    /// Returns the strings of a Python literal, with adjacent ones joined, or nil if one contains an escape sequence.
    private static func pythonStrings(in value: String) -> [String]? {
        var strings: [String] = []
        var isAdjacent = false
        var rest = value.unicodeScalars[...]
        while let quote = rest.popFirst() {
            guard quote == "\"" || quote == "'" else {
                if quote == "\\" { return nil }
                if !quote.properties.isWhitespace { isAdjacent = false }
                continue
            }
            let text = rest.prefix { $0 != quote }
            if text.contains("\\") { return nil }
            if isAdjacent { strings[strings.count - 1] += String(text) } else { strings.append(String(text)) }
            isAdjacent = true
            rest = rest[text.endIndex...].dropFirst()
        }
        return strings
    }
}
