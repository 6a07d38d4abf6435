import PetrelKit
import PetrelSupport

/// The properties of a JSON schema as fields of a form, and answers as values of the types in the schema.
///
/// It is used for the parameters of an action and for the response to an inquiry. Both have `required` in each
/// property.
struct SchemaFields {
    private struct Property {
        var name: String
        var schema: JSONValue
        var isRequired: Bool
    }

    private let properties: [Property]

    /// - Parameter required: The names that the schema lists separately, as in JSON Schema draft 4 and later.
    init(_ schemas: [String: JSONValue], required: Set<String> = []) {
        properties = schemas.map { name, schema in
            Property(
                name: name, schema: schema, isRequired: schema["required"]?.bool == true || required.contains(name))
        }.sorted { Self.order($0) < Self.order($1) }
    }

    /// Creates the fields for the response to an inquiry.
    init(inquiry schema: JSONValue?) {
        self.init(
            schema?["properties"]?.object ?? [:],
            required: Set((schema?["required"]?.array ?? []).compactMap(\.string)))
    }

    /// Returns the sort key of a property: by position if the action has one, then required properties first.
    private static func order(_ property: Property) -> (Int, Int, String) {
        (property.schema["position"]?.int ?? .max, property.isRequired ? 0 : 1, property.name)
    }

    var names: [String] { properties.map(\.name) }

    /// Returns true if a property is secret or unknown.
    func isSecret(_ name: String) -> Bool {
        properties.first { $0.name == name }.map { $0.schema["secret"]?.bool == true } ?? true
    }

    /// Returns the fields of a form for all properties that are not immutable.
    ///
    /// - Parameter initials: Initial values that replace the defaults of the schema.
    func fields(initials: [String: String] = [:]) -> [Form.Field] {
        properties.filter { $0.schema["immutable"]?.bool != true }.map { property in
            let schema = property.schema
            let isSecret = schema["secret"]?.bool == true
            var hint = schema["description"]?.string ?? ""
            if isSecret {
                hint +=
                    (hint.isEmpty ? "" : " ")
                    + "It is visible while it is typed, but not in replies, the log and the audit log."
            }
            if Self.type(of: schema) == "array" {
                hint += (hint.isEmpty ? "" : " ") + "Separate several values with commas."
            }
            if Self.type(of: schema) == "object" { hint += (hint.isEmpty ? "" : " ") + "As JSON." }
            let usual = isSecret ? nil : schema["default"].flatMap(Self.text)
            return Form.Field(
                property.name, hint: hint.isEmpty ? nil : hint, kind: Self.kind(of: schema),
                // A default value makes an answer optional.
                isRequired: property.isRequired && (schema["default"] ?? .null) == .null,
                initial: initials[property.name] ?? usual)
        }
    }

    private static func kind(of schema: JSONValue) -> Form.Field.Kind {
        if let choices = schema["enum"]?.array?.compactMap(text), !choices.isEmpty { return .choice(choices) }
        return switch type(of: schema) {
        case "boolean": .boolean
        case "integer": .integer
        case "number": .number
        case "object": .lines
        default: .text
        }
    }

    /// Returns the first type that is not `null`.
    private static func type(of schema: JSONValue) -> String {
        schema["type"]?.string ?? schema["type"]?.array?.compactMap(\.string).first { $0 != "null" } ?? "string"
    }

    private static func text(_ value: JSONValue) -> String? {
        switch value {
        case .null: nil
        case .string(let text): text
        case .array(let items) where items.allSatisfy { $0.string != nil }:
            items.compactMap(\.string).joined(separator: ",")
        default: (try? JSONValue.encode(value)).map { String(decoding: $0, as: UTF8.self) }
        }
    }

    /// Returns answers with the types of the schema. Throws ``Refusal`` for an answer that has another type, and for a
    /// name that is not in the schema.
    func values(of answers: [String: String]) throws -> [String: JSONValue] {
        let unknown = Set(answers.keys).subtracting(names).sorted()
        guard unknown.isEmpty else {
            throw Refusal(
                "Unknown field \(unknown.joined(separator: ", ")). The fields are \(names.joined(separator: ", "))."
            )
        }
        var values: [String: JSONValue] = [:]
        for property in properties {
            guard let answer = answers[property.name], !answer.isEmpty else {
                guard !property.isRequired || property.schema["default"] != nil else {
                    throw Refusal("\(property.name) is required.")
                }
                continue
            }
            values[property.name] = try Self.value(of: answer, property)
        }
        return values
    }

    private static func value(of text: String, _ property: Property) throws -> JSONValue {
        let value: JSONValue? =
            switch type(of: property.schema) {
            case "boolean": boolean(text).map { .bool($0) }
            case "integer": Int(text).map { .integer($0) }
            case "number": Int(text).map { .integer($0) } ?? Double(text).flatMap { $0.isFinite ? .number($0) : nil }
            case "array":
                text.hasPrefix("[")
                    ? parsed(text, as: \.array)
                    : .array(text.split(separator: ",").map { .string($0.trimmingPrefix(" ").description) })
            case "object": parsed(text, as: \.object)
            default: .string(text)
            }
        guard let value else {
            throw Refusal(
                "\(property.name) must be \(article(type(of: property.schema))).")
        }
        if let choices = property.schema["enum"]?.array, !choices.contains(value) {
            throw Refusal("\(property.name) must be one of \(choices.compactMap(Self.text).joined(separator: ", ")).")
        }
        return value
    }

    private static func parsed<Value>(_ text: String, as kind: (JSONValue) -> Value?) -> JSONValue? {
        (try? JSONValue.parse(text.utf8)).flatMap { kind($0) == nil ? nil : $0 }
    }

    /// Returns an answer as StackStorm accepts it in a line: only `true` or `false` for a boolean.
    func typed(_ answer: String, for name: String) -> String {
        guard let property = properties.first(where: { $0.name == name }), Self.type(of: property.schema) == "boolean"
        else { return answer }
        return Self.boolean(answer).map { "\($0)" } ?? answer
    }

    private static func boolean(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "yes", "y", "on", "1": true
        case "false", "no", "n", "off", "0": false
        default: nil
        }
    }

    private static func article(_ type: String) -> String {
        ["integer": "a whole number", "boolean": "true or false", "object": "a JSON object", "array": "a list"][type]
            ?? "a \(type)"
    }
}
