import Foundation
public import PetrelSupport

/// A token, from `POST /tokens`.
public struct Token: Sendable, Decodable {
    public var user: String
    /// Text as StackStorm gives it: `2026-11-22T02:10:58.000000Z`.
    public var expiry: String
    public var token: Secret

    private enum CodingKeys: CodingKey { case user, expiry, token }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        user = try container.decode(String.self, forKey: .user)
        expiry = try container.decode(String.self, forKey: .expiry)
        token = Secret(try container.decode(String.self, forKey: .token))
    }
}

/// Who a credential is, from `GET /user`.
public struct Account: Sendable, Decodable, Hashable {
    public struct Authentication: Sendable, Decodable, Hashable {
        public var method: String?
        public var token_expire: String?
    }

    public var username: String
    public var authentication: Authentication?
}

/// What `GET /actionalias/help` answers.
public struct HelpPage: Sendable, Decodable, Hashable {
    public struct Entry: Sendable, Decodable, Hashable {
        public var pack: String
        public var display: String?
        public var description: String?
    }

    public var available: Int
    public var helpstrings: [Entry]
}

/// One page of a list, with the number of all there is.
public struct Page<Item: Sendable>: Sendable {
    public var items: [Item]
    public var total: Int?
    /// Items that were listed but could not be read, with the reason.
    public var malformed: [MalformedAlias] = []
}

/// One run of an action.
public struct Execution: Sendable, Decodable, Hashable {
    public struct Action: Sendable, Decodable, Hashable {
        public var ref: String?
        /// The schema of each parameter.
        public var parameters: [String: JSONValue]?
    }

    public var id: String
    public var status: String?
    public var action: Action?
    public var parameters: [String: JSONValue]?
    public var context: [String: JSONValue]?
    public var parent: String?
    public var web_url: String?
    /// Text as StackStorm gives it, in UTC with microseconds.
    public var start_timestamp: String?
    public var end_timestamp: String?
    public var result: JSONValue?

    /// Nothing more will happen to it.
    public var isFinished: Bool { status.map(Self.isFinal) ?? false }

    package var start: StackStormTime? { start_timestamp.flatMap { StackStormTime($0) } }

    /// Whether a status is the last one.
    package static func isFinal(_ status: String) -> Bool { final.contains(status) }

    private static let final: Set = ["succeeded", "failed", "timeout", "canceled", "abandoned"]
}

/// What an action takes.
public struct ActionSchema: Sendable, Hashable {
    public var ref: String
    /// The schema of each parameter.
    public var parameters: [String: JSONValue]
    /// What runs it, such as `local-shell-cmd` or `orquesta`; nil where StackStorm does not say.
    public var runner: String?

    public init(ref: String, parameters: [String: JSONValue], runner: String? = nil) {
        self.ref = ref
        self.parameters = parameters
        self.runner = runner
    }

    /// Out of an item of `GET /actions`; nil where it has no reference.
    package init?(json: JSONValue) {
        guard let ref = json["ref"]?.string else { return nil }
        self.init(
            ref: ref, parameters: json["parameters"]?.object ?? [:],
            runner: json["runner_type"]?.string ?? json["runner_type"]?["name"]?.string)
    }
}

/// What `POST /aliasexecution` answers.
public struct AliasExecution: Sendable, Decodable, Hashable {
    public var execution: Execution
    /// The text of `ack.format`, where the alias has one.
    public var message: String?
    /// `ack.extra`, rendered; nil where its template is broken, for then StackStorm sends a sentence in its place.
    public var extra: [String: JSONValue]?

    private enum CodingKeys: CodingKey { case execution, message, extra }

    /// The few parts of an execution that every command needs.
    private struct Brief: Decodable {
        var id: String
        var status: String?
        var web_url: String?
        var start_timestamp: String?
    }

    /// Makes the decoder read the execution as a whole.
    static let wholeExecution = CodingUserInfoKey(rawValue: "wholeExecution")

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        if let key = Self.wholeExecution, decoder.userInfo[key] != nil {
            execution = try container.decode(Execution.self, forKey: .execution)
        } else {
            let brief = try container.decode(Brief.self, forKey: .execution)
            execution = Execution(
                id: brief.id, status: brief.status, web_url: brief.web_url, start_timestamp: brief.start_timestamp)
        }
        // By now the execution runs: whatever these hold, the answer must be usable.
        message = try? container.decodeIfPresent(String.self, forKey: .message)
        extra = try? container.decodeIfPresent([String: JSONValue].self, forKey: .extra)
    }

    /// Out of an answer, with no more of the execution than every command needs; nil where the decoder has to look.
    init?(brief body: Data) {
        var (fields, brief): ([String: JSONValue], [String: JSONValue]) = ([:], [:])
        let isRead: Void? = JSONReader.read(body) { reader in
            reader.fields { key, reader in
                switch key {
                case "execution":
                    reader.fields { key, reader in
                        switch key {
                        case "id", "status", "web_url", "start_timestamp": brief[key] = reader.value()
                        default: reader.skip()
                        }
                    }
                case "message", "extra": fields[key] = reader.value()
                default: reader.skip()
                }
            }
        }
        guard isRead != nil, let id = brief["id"]?.string else { return nil }
        execution = Execution(
            id: id, status: brief["status"]?.string, web_url: brief["web_url"]?.string,
            start_timestamp: brief["start_timestamp"]?.string)
        message = fields["message"]?.string
        extra = fields["extra"]?.object
    }
}

/// A question that waits for a person.
public struct Inquiry: Sendable, Decodable, Hashable {
    public var id: String
    public var route: String?
    /// Minutes.
    public var ttl: Int?
    public var users: [String]?
    public var roles: [String]?
    public var schema: JSONValue?
}

/// What is sent to `POST /aliasexecution`. StackStorm's notifier renders `user`, both channels and `source_context` as
/// templates: the former are sent as ``Templates/disarmed(_:)`` has them, the latter holds nothing that a person chose.
public struct AliasRun: Sendable {
    public var name: String
    public var format: String
    public var command: String
    public var user: String
    public var source_channel: String
    public var notification_channel: String?
    public var notification_route: String?
    /// Comes back as the announcement's `context`.
    public var source_context: [String: JSONValue]?

    public init(
        name: String, format: String, command: String, user: String, channel: String, route: String?,
        context: [String: JSONValue]?
    ) {
        self.name = name
        self.format = format
        self.command = command
        self.user = Templates.disarmed(user)
        source_channel = Templates.disarmed(channel)
        notification_channel = source_channel
        notification_route = route
        source_context = context
    }

    /// The body of the request.
    package var json: [UInt8] {
        var object = JSONObject()
        object.set("command", command)
        object.set("format", format)
        object.set("name", name)
        object.set("notification_channel", notification_channel)
        object.set("notification_route", notification_route)
        object.set("source_channel", source_channel)
        if let source_context { object.set("source_context", .object(source_context)) }
        object.set("user", user)
        return object.finish()
    }
}

/// What an announcement says, on the stream, in an execution of the runner, or over the webhook.
public struct Announcement: Sendable, Codable, Hashable {
    public var user: String?
    public var channel: String?
    public var whisper: Bool
    /// Mostly a string; anything where a template gave that.
    public var message: JSONValue
    public var context: [String: JSONValue]?
    public var extra: [String: JSONValue]?

    private enum CodingKeys: CodingKey { case user, channel, whisper, message, context, extra }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        user = try container.decodeIfPresent(String.self, forKey: .user)
        channel = try container.decodeIfPresent(String.self, forKey: .channel)
        whisper = try container.decodeIfPresent(Bool.self, forKey: .whisper) ?? false
        if let text = try? container.decode(String.self, forKey: .message) {
            message = .string(text)
        } else {
            message = try container.decode(JSONValue.self, forKey: .message)
        }
        context = try? container.decodeIfPresent([String: JSONValue].self, forKey: .context)
        extra = try? container.decodeIfPresent([String: JSONValue].self, forKey: .extra)
    }

    /// Out of what was read already, such as the parameters of an execution; nil where it is no announcement.
    package init?(json: JSONValue) {
        guard let message = json["message"] else { return nil }
        user = Self.name(json["user"])
        channel = Self.name(json["channel"])
        switch json["whisper"] ?? .null {
        case .null, .bool(false): whisper = false
        // What is not understood is rather told to one than to all.
        default: whisper = true
        }
        self.message = message
        context = json["context"]?.object
        extra = json["extra"]?.object
    }

    /// A template may have made a number of a name.
    private static func name(_ value: JSONValue?) -> String? {
        switch value {
        case .string(let text): text
        case .integer(let number): "\(number)"
        default: nil
        }
    }

    /// The text for people: nothing for null, an object as indented JSON, hubot's `{~}` as a line break.
    public var text: String {
        guard case .string(let text) = message else { return message == .null ? "" : message.prettyText }
        guard text.utf8.contains(UInt8(ascii: "~")) else { return text }
        return text.unicodeScalars.split(separator: "{~}".unicodeScalars, omittingEmptySubsequences: false)
            .map { String($0) }.joined(separator: "\n")
    }
}
