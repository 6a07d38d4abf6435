package import PetrelKit
package import PetrelSupport

/// Converts the values of PetrelKit to the JSON of the protocol and back; see docs/PluginProtocol.md.
package enum Wire {}

extension Wire {
    /// Returns a reply as JSON, without the members that have their default.
    package static func json(_ reply: Reply) -> JSONValue {
        var object: [String: JSONValue] = ["text": .string(reply.text)]
        if reply.style != .plain { object["style"] = .string(reply.style.rawValue) }
        if reply.kind != .answer { object["kind"] = .string(reply.kind.rawValue) }
        if reply.isPrivate { object["private"] = true }
        if reply.isConfidential { object["confidential"] = true }
        if !reply.extra.isEmpty { object["extra"] = .object(reply.extra) }
        if !reply.buttons.isEmpty { object["buttons"] = .array(reply.buttons.map(json)) }
        object["form"] = reply.form.map(json)
        return .object(object)
    }

    private static func json(_ button: Button) -> JSONValue {
        var object: [String: JSONValue] = ["label": .string(button.label), "line": .string(button.line)]
        if button.style != .normal { object["style"] = .string(button.style.rawValue) }
        object["question"] = button.question.map { .string($0) }
        return .object(object)
    }

    private static func json(_ form: Form) -> JSONValue {
        [
            "title": .string(form.title), "submit": .string(form.submit), "line": .string(form.line),
            "fields": .array(form.fields.map(json)),
        ]
    }

    private static func json(_ field: Form.Field) -> JSONValue {
        var object: [String: JSONValue] = ["name": .string(field.name), "label": .string(field.label)]
        switch field.kind {
        case .text: break
        case .lines: object["type"] = "lines"
        case .integer: object["type"] = "integer"
        case .number: object["type"] = "number"
        case .boolean: object["type"] = "boolean"
        case .choice(let choices):
            object["type"] = "choice"
            object["choices"] = .array(choices.map { .string($0) })
        }
        object["hint"] = field.hint.map { .string($0) }
        if field.isRequired { object["required"] = true }
        object["initial"] = field.initial.map { .string($0) }
        return .object(object)
    }

    /// Returns the destination of a reply as JSON, without the backend.
    package static func json(_ address: Address) -> JSONValue {
        var object: [String: JSONValue] = [:]
        switch address.place {
        case .room(let id): object["room"] = .string(id)
        case .direct(let id): object["person"] = .string(id)
        }
        object["thread"] = address.thread.map { .string($0) }
        object["in_reply_to"] = address.inReplyTo.map { .string($0) }
        return .object(object)
    }

    /// Returns the capabilities of a backend as JSON.
    package static func json(_ traits: BackendTraits) -> JSONValue {
        var object: [String: JSONValue] = [
            "markdown": .bool(traits.markdown), "mrkdwn": .bool(traits.mrkdwn), "threads": .bool(traits.threads),
            "private_replies": .bool(traits.privateReplies), "edits": .bool(traits.edits),
            "attachments": .bool(traits.attachments), "forms": .bool(traits.forms), "files": .bool(traits.files),
            "maximum_length": .integer(traits.maximumLength),
        ]
        object["maximum_lines"] = traits.maximumLines.map { .integer($0) }
        return .object(object)
    }
}

extension Wire {
    /// Reads a reply. Throws an ``RPCError`` that names the member that is wrong.
    package static func reply(_ value: JSONValue?) throws(RPCError) -> Reply {
        let object = try Members(value, "reply")
        var reply = Reply(try object.string("text"))
        reply.style = try object.choice("style") ?? .plain
        reply.kind = try object.choice("kind") ?? .answer
        reply.isPrivate = try object.bool("private")
        reply.isConfidential = try object.bool("confidential")
        if let extra = object["extra"] { reply.extra = try Members(extra, "reply.extra").object }
        reply.buttons = try object.list("buttons", atMost: 25).map { value throws(RPCError) in
            let button = try Members(value, "reply.buttons")
            return Button(
                try button.string("label"), line: try button.string("line"),
                style: try button.choice("style") ?? .normal,
                question: try button.optionalString("question"))
        }
        reply.form = try object["form"].map { value throws(RPCError) in try form(value) }
        return reply
    }

    private static func form(_ value: JSONValue) throws(RPCError) -> Form {
        let form = try Members(value, "reply.form")
        return Form(
            try form.string("title"),
            fields: try form.list("fields", atMost: 100).map { value throws(RPCError) in try field(value) },
            submit: try form.optionalString("submit") ?? "Submit", line: try form.string("line"))
    }

    private static func field(_ value: JSONValue) throws(RPCError) -> Form.Field {
        let field = try Members(value, "reply.form.fields")
        let kind: Form.Field.Kind
        switch try field.optionalString("type") ?? "text" {
        case "text": kind = .text
        case "lines": kind = .lines
        case "integer": kind = .integer
        case "number": kind = .number
        case "boolean": kind = .boolean
        case "choice": kind = .choice(try field.strings("choices", atMost: 100))
        case let other: throw .parameters("`reply.form.fields.type` is “\(other.prefix(40))”, which is not a type")
        }
        return Form.Field(
            try field.string("name"), label: try field.optionalString("label"), hint: try field.optionalString("hint"),
            kind: kind, isRequired: try field.bool("required"), initial: try field.optionalString("initial"))
    }

    /// Reads the capabilities of a backend.
    package static func traits(_ value: JSONValue?) throws(RPCError) -> BackendTraits {
        guard let value else { return BackendTraits() }
        let object = try Members(value, "traits")
        let length = try object.integer("maximum_length") ?? 10_000
        guard (10...1_000_000).contains(length) else {
            throw .parameters("`traits.maximum_length` must be from 10 to 1,000,000")
        }
        let lines = try object.integer("maximum_lines")
        guard lines.map((1...1_000_000).contains) ?? true else {
            throw .parameters("`traits.maximum_lines` must be from 1 to 1,000,000")
        }
        return BackendTraits(
            markdown: try object.bool("markdown"), mrkdwn: try object.bool("mrkdwn"),
            threads: try object.bool("threads"), privateReplies: try object.bool("private_replies"),
            edits: try object.bool("edits"), attachments: try object.bool("attachments"),
            forms: try object.bool("forms"), files: try object.bool("files"), maximumLength: length, maximumLines: lines
        )
    }
}
