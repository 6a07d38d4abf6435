import PetrelKit
import PetrelSupport

/// The properties of a JSON schema as questions, and answers as the values that the schema wants: for the parameters of
/// an action and for the response to an inquiry. Both say `required` with each property.
struct SchemaFields {
    private struct Property {
        var name: String
        var schema: JSONValue
        var isRequired: Bool
    }

    private let properties: [Property]

    /// - Parameter required: names that the schema lists apart, as JSON Schema of draft 4 and later does.
    init(_ schemas: [String: JSONValue], required: Set<String> = []) {
        properties = schemas.map { name, schema in
            Property(
                name: name, schema: schema, isRequired: schema["required"]?.bool == true || required.contains(name))
        }.sorted { Self.order($0) < Self.order($1) }
    }

    /// Of the schema of an inquiry.
    init(inquiry schema: JSONValue?) {
        self.init(
            schema?["properties"]?.object ?? [:],
            required: Set((schema?["required"]?.array ?? []).compactMap(\.string)))
    }

    /// As the action says, else what is required first.
    private static func order(_ property: Property) -> (Int, Int, String) {
        (property.schema["position"]?.int ?? .max, property.isRequired ? 0 : 1, property.name)
    }

    var names: [String] { properties.map(\.name) }

    func isSecret(_ name: String) -> Bool {
        properties.first { $0.name == name }.map { $0.schema["secret"]?.bool == true } ?? true
    }

    /// - Parameter initials: what is there from the beginning, where it is not the schema's default.
    func fields(initials: [String: String] = [:]) -> [Form.Field] {
        properties.filter { $0.schema["immutable"]?.bool != true }.map { property in
            let schema = property.schema
            let isSecret = schema["secret"]?.bool == true
            var hint = schema["description"]?.string ?? ""
            if isSecret {
                hint +=
                    (hint.isEmpty ? "" : " ")
                    + "It shows while it is typed, and is kept out of replies, the log and the audit."
            }
            if Self.type(of: schema) == "array" {
                hint += (hint.isEmpty ? "" : " ") + "Several are separated by commas."
            }
            if Self.type(of: schema) == "object" { hint += (hint.isEmpty ? "" : " ") + "As JSON." }
            let usual = isSecret ? nil : schema["default"].flatMap(Self.text)
            return Form.Field(
                property.name, hint: hint.isEmpty ? nil : hint, kind: Self.kind(of: schema),
                // An answer that is there already need not be given.
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

    /// The first that is not `null`.
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

    /// Answers, with the types of the schema. Throws ``Refusal`` for one that does not fit, and for a name that is not
    /// in the schema.
    func values(of answers: [String: String]) throws -> [String: JSONValue] {
        let strangers = Set(answers.keys).subtracting(names).sorted()
        guard strangers.isEmpty else {
            throw Refusal(
                "Nobody asked for \(strangers.joined(separator: ", ")). What is asked for: \(names.joined(separator: ", "))."
            )
        }
        var values: [String: JSONValue] = [:]
        for property in properties {
            guard let answer = answers[property.name], !answer.isEmpty else {
                guard !property.isRequired || property.schema["default"] != nil else {
                    throw Refusal("\(property.name) is needed.")
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
                "\(property.name) must be \(article(type(of: property.schema))), which what you wrote is not.")
        }
        if let choices = property.schema["enum"]?.array, !choices.contains(value) {
            throw Refusal("\(property.name) must be one of \(choices.compactMap(Self.text).joined(separator: ", ")).")
        }
        return value
    }

    private static func parsed<Value>(_ text: String, as kind: (JSONValue) -> Value?) -> JSONValue? {
        (try? JSONValue.parse(text.utf8)).flatMap { kind($0) == nil ? nil : $0 }
    }

    /// As StackStorm reads a line: of a boolean it takes `true` and `false` only.
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
