import Foundation

/// A JSON value (RFC 8259).
public enum JSONValue: Hashable, Sendable, Codable {
    /// The literal `null`.
    case null
    /// The literals `true` and `false`.
    case bool(Bool)
    /// A number that is an `Int`, such as `2` and `2.0`.
    case integer(Int)
    /// Any other number.
    case number(Double)
    /// A string.
    case string(String)
    /// An array.
    case array([JSONValue])
    /// An object, without the order of its fields.
    case object([String: JSONValue])

    /// Decodes any value that the decoder offers.
    public init(from decoder: any Decoder) throws {
        if let decoder = decoder as? JSONValueDecoder {
            self = decoder.value
            return
        }
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode([String: JSONValue].self) {
            self = .object(value)
        } else {
            self = .array(try container.decode([JSONValue].self))
        }
    }

    /// Encodes the value as itself, without a wrapper for the case.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

extension JSONValue {
    /// Parses a JSON text in UTF-8, of at most 512 levels of nesting.
    ///
    /// - Throws: `DecodingError`, which contains the place of the mistake.
    public static func parse(_ bytes: some Collection<UInt8>) throws -> JSONValue {
        if let value = JSONReader.value(bytes) { return value }
        return try JSONReader.complete(bytes)
    }

    /// Encodes a value as JSON in UTF-8, with sorted keys and without escaped slashes.
    ///
    /// - Parameters:
    ///   - value: The value to encode.
    ///   - pretty: True to indent the text.
    /// - Throws: Foundation's `EncodingError`, for instance for infinity and NaN.
    public static func encode(_ value: some Encodable, pretty: Bool = false) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
        return Array(try encoder.encode(value))
    }

    /// The value as indented JSON with sorted keys.
    public var prettyText: String {
        (try? JSONValue.encode(self, pretty: true)).map { String(decoding: $0, as: UTF8.self) } ?? "\(self)"
    }

    /// The string, or nil if the value is not a string.
    public var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    /// The fields of the object, or nil if the value is not an object.
    public var object: [String: JSONValue]? {
        if case .object(let value) = self { value } else { nil }
    }

    /// The elements of the array, or nil if the value is not an array.
    public var array: [JSONValue]? {
        if case .array(let value) = self { value } else { nil }
    }

    /// The Boolean value, or nil if the value is neither `true` nor `false`.
    public var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// The integer, or nil if the value is not an integer.
    public var int: Int? {
        if case .integer(let value) = self { value } else { nil }
    }

    /// The value of a field, or nil if the value is not an object or has no such field.
    public subscript(key: String) -> JSONValue? { object?[key] }

    /// The type of the value in messages to people, such as `a number` or `an object`.
    public var typeName: String {
        switch self {
        case .null: "null"
        case .bool: "true or false"
        case .integer, .number: "a number"
        case .string: "a string"
        case .array: "a list"
        case .object: "an object"
        }
    }
}

extension JSONValue {
    /// Describes an error of ``parse(_:)`` for the author of the JSON, such as `the number 1e400 is out of range (line 1,
    /// column 10)`.
    ///
    /// - Parameter bytes: The text that was parsed.
    public static func reason(of error: any Error, in bytes: some Collection<UInt8>) -> String {
        JSONFault(Array(bytes)).reason ?? reason(of: error)
    }

    /// Describes an error of `JSONDecoder` for the author of the JSON, such as `` `id` is missing ``.
    public static func reason(of error: any Error) -> String {
        guard let error = error as? DecodingError else { return "it is not valid JSON" }
        switch error {
        case .keyNotFound(let key, _): return "`\(key.stringValue)` is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
            return path.isEmpty ? "the top-level value has the wrong type" : "`\(path)` has the wrong type"
        default: return "it is not valid JSON"
        }
    }
}
