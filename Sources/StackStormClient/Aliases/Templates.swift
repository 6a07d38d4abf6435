package import PetrelSupport

/// What StackStorm evaluates in text: Jinja (`{{`, `{%`, `{#`) and YAQL (`<%`). Looked for byte by byte, since a
/// `Character` may join a brace to what stands beside it.
package enum Templates {
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

    /// A text in a form that cannot be a template: where it holds an opening bracket of one, percent-encoded. Other
    /// texts stay as they are.
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

    /// Whether a parameter holds a template once StackStorm has cast it to the type of its schema; nil where that cannot
    /// be told.
    /// - Parameter type: the type in the JSON schema of the action; nil where it is not known.
    /// - Note: `st2common.util.casts`: an `object` is read as JSON, and as a Python literal where it is no JSON.
    ///   So may an `array` be, where it is not cut at its commas.
    package static func isFound(in value: String, castTo type: String?) -> Bool? {
        if isFound(in: value) { return true }
        // Only an escape or two strings side by side can make a template of what is none.
        guard type == nil || type == "object" || type == "array",
            value.utf8.contains(where: { $0 == 0x5C || $0 == 0x22 || $0 == 0x27 })
        else { return false }
        if (try? JSONValue.parse(value.utf8)) != nil { return isFoundInStrings(ofJSON: value) }
        guard let strings = pythonStrings(in: value) else {
            return type == nil && !looksStructured(value) ? false : nil
        }
        return strings.contains { isFound(in: $0) }
    }

    /// String by string: of a key that comes twice an object keeps one value, and not everybody the same.
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

    /// The strings of a Python literal, those that stand side by side as one; nil where one holds an escape.
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
