import Foundation
public import PetrelSupport

/// A token, as returned by `POST /tokens`.
public struct Token: Sendable, Decodable {
    /// The name of the user.
    public var user: String
    /// The expiry of the token, such as `2026-11-22T02:10:58.000000Z`.
    public var expiry: String
    /// The token.
    public var token: Secret

    private enum CodingKeys: CodingKey { case user, expiry, token }

    /// Decodes a token from StackStorm's JSON.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        user = try container.decode(String.self, forKey: .user)
        expiry = try container.decode(String.self, forKey: .expiry)
        token = Secret(try container.decode(String.self, forKey: .token))
    }
}

/// An account of StackStorm, as returned by `GET /user`.
public struct Account: Sendable, Decodable, Hashable {
    /// The authentication of the request.
    public struct Authentication: Sendable, Decodable, Hashable {
        /// The method, such as `authentication token` or `API key`.
        public var method: String?
        /// The expiry of the token, as ISO 8601.
        public var token_expire: String?
    }

    /// The name of the user.
    public var username: String
    /// The authentication of the request.
    public var authentication: Authentication?
}

/// A page of help texts, as returned by `GET /actionalias/help`.
public struct HelpPage: Sendable, Decodable, Hashable {
    /// The help text of a format of an action alias.
    public struct Entry: Sendable, Decodable, Hashable {
        /// The pack of the alias.
        public var pack: String
        /// The format, as shown to users.
        public var display: String?
        /// The description of the alias.
        public var description: String?
    }

    /// The total number of help texts.
    public var available: Int
    /// The help texts of this page.
    public var helpstrings: [Entry]
}

/// One page of a list.
public struct Page<Item: Sendable>: Sendable {
    /// The items of the page.
    public var items: [Item]
    /// The total number of items, or nil if StackStorm did not return it.
    public var total: Int?
    /// The aliases of the page that cannot be read. It is empty for other lists.
    public var malformed: [MalformedAlias] = []
}

/// An execution of an action (`GET /executions`).
public struct Execution: Sendable, Decodable, Hashable {
    /// The action of an execution.
    public struct Action: Sendable, Decodable, Hashable {
        /// The reference, such as `core.local`.
        public var ref: String?
        /// The JSON Schema of each parameter.
        public var parameters: [String: JSONValue]?
    }

    /// The ID.
    public var id: String
    /// The status, such as `running` or `succeeded`.
    public var status: String?
    /// The action.
    public var action: Action?
    /// The parameters with which the action runs.
    public var parameters: [String: JSONValue]?
    /// The context, such as the user and the parent execution.
    public var context: [String: JSONValue]?
    /// The ID of the parent execution.
    public var parent: String?
    /// The URL of the execution in StackStorm's web UI.
    public var web_url: String?
    /// The start, such as `2026-11-21T02:10:16.498577Z`.
    public var start_timestamp: String?
    /// The end, in the same format as the start, or nil if the execution is running.
    public var end_timestamp: String?
    /// The result, whose shape depends on the runner.
    public var result: JSONValue?

    /// True if the execution has ended.
    public var isFinished: Bool { status.map(Self.isFinal) ?? false }

    /// The start, or nil if it is missing or cannot be read.
    public var start: StackStormTime? { start_timestamp.flatMap { StackStormTime($0) } }

    /// The end, or nil if it is missing or cannot be read.
    public var end: StackStormTime? { end_timestamp.flatMap { StackStormTime($0) } }

    /// Returns true if a status is final: `succeeded`, `failed`, `timeout`, `canceled` or `abandoned`.
    package static func isFinal(_ status: String) -> Bool { final.contains(status) }

    private static let final: Set = ["succeeded", "failed", "timeout", "canceled", "abandoned"]
}

/// The parameters of an action (`GET /actions`).
public struct ActionSchema: Sendable, Hashable {
    /// The reference, such as `core.local`.
    public var ref: String
    /// The JSON Schema of each parameter.
    public var parameters: [String: JSONValue]
    /// The runner, such as `local-shell-cmd` or `orquesta`, or nil if StackStorm did not return it.
    public var runner: String?

    /// Creates a schema.
    public init(ref: String, parameters: [String: JSONValue], runner: String? = nil) {
        self.ref = ref
        self.parameters = parameters
        self.runner = runner
    }

    /// Reads an item of `GET /actions`. Returns nil if it has no reference.
    package init?(json: JSONValue) {
        guard let ref = json["ref"]?.string else { return nil }
        self.init(
            ref: ref, parameters: json["parameters"]?.object ?? [:],
            runner: json["runner_type"]?.string ?? json["runner_type"]?["name"]?.string)
    }
}

/// The response of `POST /aliasexecution`.
public struct AliasExecution: Sendable, Decodable, Hashable {
    /// The execution that was started.
    public var execution: Execution
    /// The acknowledgement: the rendered `ack.format` of the alias, if it has one.
    public var message: String?
    /// The rendered `ack.extra` of the alias. It is nil if its template is invalid, in which case StackStorm returns an
    /// error message in its place.
    public var extra: [String: JSONValue]?

    private enum CodingKeys: CodingKey { case execution, message, extra }

    /// The fields of an execution that every command needs.
    private struct Brief: Decodable {
        var id: String
        var status: String?
        var web_url: String?
        var start_timestamp: String?
    }

    /// A key that makes the decoder read all fields of the execution.
    static let wholeExecution = CodingUserInfoKey(rawValue: "wholeExecution")

    /// Decodes the response, with only the ID, the status, the start and the URL of the execution.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        if let key = Self.wholeExecution, decoder.userInfo[key] != nil {
            execution = try container.decode(Execution.self, forKey: .execution)
        } else {
            let brief = try container.decode(Brief.self, forKey: .execution)
            execution = Execution(
                id: brief.id, status: brief.status, web_url: brief.web_url, start_timestamp: brief.start_timestamp)
        }
        // The execution is running already, so an invalid message must not make the response unusable.
        message = try? container.decodeIfPresent(String.self, forKey: .message)
        extra = try? container.decodeIfPresent([String: JSONValue].self, forKey: .extra)
    }

    /// Reads the fields that every command needs from a body. Returns nil if the body has to be read by the decoder.
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

/// An inquiry, which waits for the response of a person (`GET /inquiries`).
public struct Inquiry: Sendable, Decodable, Hashable {
    /// The ID of the inquiry, which is the ID of its execution.
    public var id: String
    /// A label by which rules can select the inquiry.
    public var route: String?
    /// The time until the inquiry expires, in minutes.
    public var ttl: Int?
    /// The users who may respond; empty if there is no limit.
    public var users: [String]?
    /// The roles that may respond; empty if there is no limit.
    public var roles: [String]?
    /// The JSON Schema of the response.
    public var schema: JSONValue?
}

/// The body of `POST /aliasexecution`.
///
/// StackStorm's notifier renders `user`, both channels and `source_context` as Jinja templates. The initializer encodes
/// the first three, see ``Templates/disarmed(_:)``. Do not put text of users into `source_context`.
public struct AliasRun: Sendable {
    /// The name of the alias, without its pack.
    public var name: String
    /// The representation of the alias that matches the command.
    public var format: String
    /// The text of the command.
    public var command: String
    /// The user for whom the command is run.
    public var user: String
    /// The channel in which the command was given.
    public var source_channel: String
    /// The channel for the notification.
    public var notification_channel: String?
    /// The notification route, or nil for StackStorm's default, `chatops`.
    public var notification_route: String?
    /// Data that StackStorm returns in the ``Announcement/context`` of the result.
    public var source_context: [String: JSONValue]?

    /// Creates a request whose result is announced in the channel of the command.
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

    /// The request as JSON in UTF-8.
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

/// The content of an announcement, which StackStorm sends over the event stream (`st2.announcement__…`) or a webhook.
public struct Announcement: Sendable, Codable, Hashable {
    /// The user to address.
    public var user: String?
    /// The channel to which the message is sent.
    public var channel: String?
    /// True if only the user may see the message.
    public var whisper: Bool
    /// The message, which is usually a string. A template can produce any other value.
    public var message: JSONValue
    /// The `source_context` of the alias execution.
    public var context: [String: JSONValue]?
    /// Data for chat backends, such as `{"slack": {"color": "good"}}`.
    public var extra: [String: JSONValue]?

    private enum CodingKeys: CodingKey { case user, channel, whisper, message, context, extra }

    /// Decodes an announcement. Only the message is required.
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

    /// Reads an announcement from JSON, such as the parameters of an execution. Returns nil if there is no message.
    package init?(json: JSONValue) {
        guard let message = json["message"] else { return nil }
        user = Self.name(json["user"])
        channel = Self.name(json["channel"])
        switch json["whisper"] ?? .null {
        case .null, .bool(false): whisper = false
        // An unknown value is treated as private, so that nothing private becomes public.
        default: whisper = true
        }
        self.message = message
        context = json["context"]?.object
        extra = json["extra"]?.object
    }

    /// Returns a name, which a template may have turned into a number.
    private static func name(_ value: JSONValue?) -> String? {
        switch value {
        case .string(let text): text
        case .integer(let number): "\(number)"
        default: nil
        }
    }

    /// The message as text: empty for null, indented JSON for objects, and with a line break in place of each `{~}`
    /// (a convention of hubot-stackstorm).
    public var text: String {
        guard case .string(let text) = message else { return message == .null ? "" : message.prettyText }
        guard text.utf8.contains(UInt8(ascii: "~")) else { return text }
        return text.unicodeScalars.split(separator: "{~}".unicodeScalars, omittingEmptySubsequences: false)
            .map { String($0) }.joined(separator: "\n")
    }
}
