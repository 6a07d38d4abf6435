import Foundation
import PetrelKit
import PetrelSupport
import StackStormClient

extension SimulatedStackStorm {
    private static let runFields: Set = [
        "name", "format", "command", "user", "source_channel", "notification_channel", "notification_route",
        "source_context",
    ]

    /// Processes `POST /aliasexecution`.
    func run(_ request: SimulatedRequest, as user: String) throws -> SimulatedAnswer {
        let body = try request.object()
        try check(body, allowed: Self.runFields, required: ["source_channel", "name", "format", "command"])
        if let context = body["source_context"], context.object == nil, context != .null {
            throw SimulatedRefusal(400, "'\(context.string ?? "")' is not of type 'object', 'null'")
        }
        let name = body["name"]?.string ?? ""
        guard let json = aliases.first(where: { $0["name"]?.string == name }) else {
            throw SimulatedRefusal(404, "Unable to find the ActionAliasDB instance. {'name': '\(name)'}")
        }
        let alias = try Alias(json: json)
        guard alias.enabled else { throw SimulatedRefusal(400, "Action alias with name \"\(name)\" is disabled.") }
        let format = body["format"]?.string ?? ""
        guard let entry = alias.formats.first(where: { $0.patterns.contains(format) }) else {
            throw SimulatedRefusal(400, "Format string \"\(format)\" is not available on the alias \"\(name)\"")
        }
        let command = body["command"]?.string ?? ""
        let parameters: [AliasFormat.Parameter]
        do {
            parameters = try AliasFormat(format).parameters(of: CommandStream(command))
        } catch {
            guard entry.matchesMultiple else { throw SimulatedRefusal(400, error.description) }
            parameters = []
        }
        return .json(try start(json, alias, parameters, body, user), status: 201)
    }

    /// Processes `POST /aliasexecution/match_and_execute`.
    func matchAndRun(_ request: SimulatedRequest, as user: String) throws -> SimulatedAnswer {
        let body = try request.object()
        try check(
            body, allowed: Self.runFields.subtracting(["source_context", "name", "format"]),
            required: ["command", "user", "source_channel"])
        let match = try match(body["command"]?.string ?? "")
        // StackStorm also fails for a format that has only a display.
        if match.representation.isEmpty { throw SimulatedRefusal(500, "Internal Server Error") }
        let json = aliases.first { $0["ref"]?.string == match.alias.ref } ?? .null
        return .json(["results": [try start(json, match.alias, match.parameters, body, user)]], status: 201)
    }

    private func check(_ body: [String: JSONValue], allowed: Set<String>, required: [String]) throws {
        for field in required where body[field] == nil {
            throw SimulatedRefusal(400, "'\(field)' is a required property")
        }
        for field in body.keys.sorted() where !allowed.contains(field) {
            throw SimulatedRefusal(400, "Additional properties are not allowed ('\(field)' was unexpected)")
        }
    }

    private func start(
        _ json: JSONValue, _ alias: Alias, _ extracted: [AliasFormat.Parameter], _ body: [String: JSONValue],
        _ user: String
    ) throws -> JSONValue {
        guard let action = actions[alias.actionRef] else {
            throw SimulatedRefusal(404, "Action with ref \"\(alias.actionRef)\" not found ")
        }
        let account = users.first { $0.name == user }
        if account?.hasNoRole == true || account?.forbidden.contains(action.ref) == true {
            let resource = "action:\(action.ref.replacing(".", with: ":"))"
            throw SimulatedRefusal.lacking("action_execute\" on resource \"\(resource)", user)
        }
        var parameters = try typed(extracted, for: action)
        let fixed = json["immutable_parameters"]?.object ?? [:]
        let given = Set(extracted.map(\.name))
        if let name = fixed.keys.sorted().first(where: given.contains) {
            throw SimulatedRefusal(400, "Immutable arguments cannot be overriden: \(name)")
        }
        parameters.merge(fixed) { _, fixed in fixed }
        try require(parameters, for: action)
        // The notifier renders these fields as templates, and passes them on unchanged if that fails.
        func noticed(_ key: String) -> JSONValue {
            let value = body[key] ?? .null
            return (try? Expression.rendered(value, datastore, withYAQL: false)) ?? value
        }
        let channel = noticed("notification_channel").string ?? noticed("source_channel").string ?? ""
        let id = newID()
        let context: [String: JSONValue] = [
            "action_alias_ref": ["id": json["id"] ?? "", "name": .string(alias.name)],
            "api_user": body["user"] ?? .null,
            "user": .string(user), "source_channel": .string(channel), "pack": .string(action.pack),
        ]
        let execution = record(
            id, action, parameters, context: context,
            notify: ["user": body["user"] ?? .null, "source_context": body["source_context"] ?? .null])
        save(execution, id)
        started[body["command"]?.string ?? "", default: 0] += 1
        let notice = Notice(
            user: noticed("user").string ?? user, channel: channel,
            route: body["notification_route"]?.string ?? "chatops",
            context: passesContext ? noticed("source_context") : .null, alias: json)
        begin(id, action, parameters, notice)
        var answer: [String: JSONValue] = ["execution": .object(execution), "actionalias": json]
        if let format = json["ack"]?["format"]?.string {
            answer["message"] = .string(Template.render(format, ["execution": .object(execution)]))
        }
        if let extra = json["ack"]?["extra"] { answer["extra"] = extra }
        return .object(answer)
    }

    /// Returns the parameters, cast to the types of the action's schema.
    private func typed(_ extracted: [AliasFormat.Parameter], for action: SimulatedAction) throws -> [String: JSONValue]
    {
        var parameters: [String: JSONValue] = [:]
        for parameter in extracted {
            guard let text = parameter.value else { continue }
            guard let schema = action.parameters[parameter.name] ?? Self.runnerParameters[parameter.name] else {
                throw SimulatedRefusal(
                    400, "Additional properties are not allowed ('\(parameter.name)' was unexpected)")
            }
            if schema["immutable"]?.bool == true {
                throw SimulatedRefusal(400, "Override of immutable parameter(s) ['\(parameter.name)'] is unsupported.")
            }
            parameters[parameter.name] = try Self.cast(text, parameter.name, schema)
        }
        for (name, schema) in action.parameters where parameters[name] == nil { parameters[name] = schema["default"] }
        return parameters
    }

    private func require(_ parameters: [String: JSONValue], for action: SimulatedAction) throws {
        for (name, schema) in action.parameters where schema["required"]?.bool == true && parameters[name] == nil {
            throw SimulatedRefusal(400, "'\(name)' is a required property")
        }
    }

    /// The parameters that every shell action has besides its own.
    private static let runnerParameters: [String: JSONValue] = [
        "timeout": ["type": "integer"], "cwd": ["type": "string"], "env": ["type": "object"], "cmd": ["type": "string"],
        "hosts": ["type": "string"],
    ]

    private static func cast(_ text: String, _ name: String, _ schema: JSONValue) throws -> JSONValue {
        let value: JSONValue?
        switch schema["type"]?.string ?? "string" {
        case "integer": value = Int(text.trimmingCharacters(in: .whitespaces)).map { .integer($0) }
        case "number": value = Double(text).map { .number($0) }
        case "boolean": value = ["true": true, "false": false][text.lowercased()].map { .bool($0) }
        case "array": value = .array(text.split(separator: ",").map { .string(String($0)) })
        case "object": value = try? JSONValue.parse(text.utf8)
        default: value = .string(text)
        }
        guard let value else {
            throw SimulatedRefusal(
                400,
                "Failed to cast value \"\(text)\" (type: str) for parameter \"\(name)\" of type "
                    + "\"\(schema["type"]?.string ?? "")\". Perhaps the value is of an invalid type?")
        }
        if let allowed = schema["enum"]?.array, !allowed.contains(value) {
            throw SimulatedRefusal(400, "'\(text)' is not one of \(allowed.compactMap(\.string))")
        }
        return value
    }
}

/// A subset of Jinja and YAQL that shows whether a text was evaluated: look-ups in the datastore.
enum Expression {
    struct Undefined: Error {}

    /// Evaluates the templates in a value. Throws ``Undefined`` for unknown expressions, as a strict environment does.
    static func rendered(
        _ value: JSONValue, _ datastore: [String: String], withYAQL: Bool = true
    ) throws -> JSONValue {
        switch value {
        case .string(let text): .string(try rendered(text, datastore, withYAQL))
        case .array(let values): .array(try values.map { try rendered($0, datastore, withYAQL: withYAQL) })
        case .object(let object):
            .object(
                Dictionary(
                    try object.map { key, value in
                        (try rendered(key, datastore, withYAQL), try rendered(value, datastore, withYAQL: withYAQL))
                    }
                ) { _, last in last })
        case .null, .bool, .integer, .number: value
        }
    }

    private static func rendered(_ text: String, _ datastore: [String: String], _ withYAQL: Bool) throws -> String {
        var result = try text.replacing(/\{#.*?#\}/, with: "").replacing(
            /\{\{(.*?)\}\}|\{%(.*?)%\}/.dotMatchesNewlines().matchingSemantics(.unicodeScalar)
        ) { match in
            guard let inner = match.1 else { throw Undefined() }
            return try value(inner, datastore)
        }
        guard withYAQL else { return result }
        result = try result.replacing(/<%(.*?)%>/.dotMatchesNewlines().matchingSemantics(.unicodeScalar)) { match in
            try value(match.1, datastore)
        }
        return result
    }

    private static func value(_ expression: Substring, _ datastore: [String: String]) throws -> String {
        let key = expression.firstMatch(of: /st2kv(?:\.system\.|\(\s*['"]system\.)(\w+)/)?.1
        guard let key, let value = datastore[String(key)] else { throw Undefined() }
        return value
    }
}

/// The subset of Jinja that acknowledgements and results of the simulated packs use: `{{ path.to.value }}`.
enum Template {
    static func render(_ template: String, _ values: [String: JSONValue]) -> String {
        template.replacing(/\{\{\s*([\w.]+)\s*\}\}/) { match in
            var value: JSONValue? = .object(values)
            for step in match.1.split(separator: ".") { value = value?[String(step)] }
            return value.map { $0.string ?? $0.prettyText } ?? ""
        }
    }
}
