package import PetrelSupport

extension Endpoint {
    /// Returns a text that is safe as a path segment. Throws an error with the code `notFound` for any other text.
    static func segment(_ text: String) throws -> String {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0.isWordByte }) else {
            throw StackStormError(.notFound, "“\(text.prefix(80))” is not a valid ID")
        }
        return text
    }
}

extension UInt8 {
    fileprivate var isWordByte: Bool {
        (48...57).contains(self) || (65...90).contains(self) || (97...122).contains(self)
            || [45, 46, 95].contains(self)
    }
}

extension Endpoint where Value == Token {
    /// Creates a token (`POST /tokens`). The request needs basic authentication.
    ///
    /// - Parameters:
    ///   - ttl: The lifetime of the token in seconds, or nil for StackStorm's default.
    ///   - person: The user whose token a service account requests, or nil for the account's own token.
    package static func token(ttl: Int?, of person: Impersonated? = nil) throws -> Endpoint {
        var body = person?.body ?? [:]
        if let ttl { body["ttl"] = .integer(ttl) }
        return try Endpoint("POST", .auth, "/tokens", body: body) {
            try $0.checked(at: "auth_url").decoded()
        }
    }
}

extension Endpoint where Value == Account {
    /// Returns the account of a token or an API key (`GET /user`).
    package static func user() throws -> Endpoint {
        try Endpoint("GET", .api, "/user") { try $0.checked(at: "api_url").decoded() }
    }
}

extension Endpoint where Value == Page<Alias> {
    /// Returns one page of the action aliases (`GET /actionalias`).
    ///
    /// Aliases that cannot be read are in ``Page/malformed``.
    ///
    /// - Parameters:
    ///   - offset: The number of aliases to skip.
    ///   - limit: The maximum number of aliases, or -1 for all, which StackStorm may allow only to administrators.
    package static func aliases(offset: Int = 0, limit: Int) throws -> Endpoint {
        let query = [("offset", "\(offset)"), ("limit", "\(limit)")]
        return try Endpoint("GET", .api, "/actionalias", query: offset == 0 ? [query[1]] : query) { response in
            let items = try response.checked().list()
            var page = Page<Alias>(items: [], total: response.total)
            for item in items {
                do {
                    page.items.append(try Alias(json: item))
                } catch let malformed as MalformedAlias {
                    page.malformed.append(malformed)
                    response.noteLosses(1)
                }
            }
            return page
        }
    }
}

extension Endpoint {
    /// Returns one page of a list with a part of the attributes. Items that cannot be read are skipped and counted.
    fileprivate static func page<Item>(
        of path: String, attributes: String, offset: Int, limit: Int,
        item: @escaping @Sendable (JSONValue) -> Item?
    ) throws -> Endpoint where Value == Page<Item> {
        let query = [("include_attributes", attributes), ("offset", "\(offset)"), ("limit", "\(limit)")]
        return try Endpoint("GET", .api, path, query: query) { response in
            let items = try response.checked().list()
            let read = items.compactMap(item)
            response.noteLosses(items.count - read.count)
            return Page(items: read, total: response.total)
        }
    }
}

extension Endpoint where Value == Page<String> {
    /// Returns the references of one page of the action aliases (`GET /actionalias`).
    package static func aliasRefs(offset: Int, limit: Int) throws -> Endpoint {
        try page(of: "/actionalias", attributes: "ref,pack,name", offset: offset, limit: limit) { $0["ref"]?.string }
    }
}

extension Endpoint where Value == Page<ActionSchema> {
    /// Returns one page of the actions, with their parameters and runners (`GET /actions`).
    package static func actions(offset: Int, limit: Int) throws -> Endpoint {
        try page(of: "/actions", attributes: "ref,pack,name,parameters,runner_type", offset: offset, limit: limit) {
            ActionSchema(json: $0)
        }
    }
}

extension Endpoint where Value == ActionSchema {
    /// Returns the schema of an action (`GET /actions/{ref}`).
    package static func action(_ ref: String) throws -> Endpoint {
        try Endpoint("GET", .api, "/actions/\(segment(ref))") {
            let response = try $0.checked()
            guard let schema = ActionSchema(json: try response.json()) else {
                throw response.unexpected("it is not an action")
            }
            return schema
        }
    }
}

extension Endpoint where Value == Alias {
    /// Returns the action alias with a reference or an ID (`GET /actionalias/{ref or id}`).
    package static func alias(_ ref: String) throws -> Endpoint {
        try Endpoint("GET", .api, "/actionalias/\(segment(ref))") { try Alias(json: $0.checked().json()) }
    }
}

/// The response of `POST /actionalias/match`.
public struct ServerMatch: Sendable {
    /// The alias that matches the command.
    public var alias: Alias
    /// The representation that matches the command, as ``AliasRun/format`` takes it.
    public var representation: String
}

extension Endpoint where Value == ServerMatch {
    /// Finds the action alias of a command (`POST /actionalias/match`).
    ///
    /// StackStorm responds with status 400 both if no alias and if several aliases match.
    package static func match(_ command: String) throws -> Endpoint {
        try Endpoint("POST", .api, "/actionalias/match", body: ["command": command]) { response in
            let json = try response.checked().json()
            guard let alias = json["actionalias"], let representation = json["representation"]?.string else {
                throw response.unexpected("`actionalias` is missing")
            }
            return ServerMatch(alias: try Alias(json: alias), representation: representation)
        }
    }
}

extension Endpoint where Value == HelpPage {
    /// Returns the help texts of the action aliases (`GET /actionalias/help`).
    ///
    /// - Parameters:
    ///   - pack: A pack to which the texts are limited.
    ///   - filter: A regular expression that the texts must match.
    ///   - limit: The maximum number of texts.
    ///   - offset: The number of texts to skip.
    package static func help(pack: String?, filter: String?, limit: Int?, offset: Int?) throws -> Endpoint {
        let query = [
            ("pack", pack), ("filter", filter), ("limit", limit.map(String.init)), ("offset", offset.map(String.init)),
        ]
        return try Endpoint(
            "GET", .api, "/actionalias/help", query: query.compactMap { name, value in value.map { (name, $0) } }
        ) {
            try $0.checked().decoded()
        }
    }
}

extension Endpoint where Value == AliasExecution {
    /// Runs an action alias (`POST /aliasexecution`).
    ///
    /// - Parameters:
    ///   - run: The alias and the command.
    ///   - isWhole: False to decode only the ID, the status, the start and the URL of the execution, which is faster.
    package static func run(_ run: AliasRun, isWhole: Bool = true) throws -> Endpoint {
        Endpoint("POST", .api, "/aliasexecution", json: run.json) {
            let answer = try $0.checked()
            if !isWhole, let brief = AliasExecution(brief: answer.body) { return brief }
            return try answer.decoded(with: isWhole ? AliasExecution.wholeExecution : nil)
        }
    }
}

private struct Results: Decodable {
    var results: [AliasExecution]
}

extension Endpoint where Value == [AliasExecution] {
    /// Finds and runs the action aliases of a command (`POST /aliasexecution/match_and_execute`).
    ///
    /// This is the only way to run a format with `match_multiple`. StackStorm rejects `source_context` here.
    ///
    /// - Parameters:
    ///   - command: The text of the command.
    ///   - user: The user for whom the command is run, sent as ``Templates/disarmed(_:)`` encodes it.
    ///   - channel: The channel for the notification, sent as ``Templates/disarmed(_:)`` encodes it.
    ///   - route: The notification route, or nil for StackStorm's default, `chatops`.
    package static func matchAndExecute(
        command: String, user: String, channel: String, route: String?
    ) throws -> Endpoint {
        let channel = Templates.disarmed(channel)
        var body = [
            "command": command, "user": Templates.disarmed(user), "source_channel": channel,
            "notification_channel": channel,
        ]
        body["notification_route"] = route
        return try Endpoint("POST", .api, "/aliasexecution/match_and_execute", body: body) {
            try $0.checked().decoded(as: Results.self, with: AliasExecution.wholeExecution).results
        }
    }
}

extension Endpoint where Value == Execution {
    /// Returns an execution (`GET /executions/{id}`), with a result of at most 64 KiB.
    package static func execution(_ id: String) throws -> Endpoint {
        try Endpoint("GET", .api, "/executions/\(segment(id))", query: [("max_result_size", "65536")]) {
            try $0.checked().decoded()
        }
    }
}

private struct Cancellation: Decodable {
    var faultstring: String?
}

extension Endpoint where Value == String? {
    /// Cancels an execution (`DELETE /executions/{id}`).
    ///
    /// The value is nil, or the `faultstring` with which StackStorm responds (with status 200) if the execution is
    /// finished.
    package static func cancel(_ id: String) throws -> Endpoint {
        try Endpoint("DELETE", .api, "/executions/\(segment(id))") {
            try $0.checked().decoded(as: Cancellation.self).faultstring
        }
    }
}

extension Endpoint where Value == String {
    /// Returns the output of an execution (`GET /executions/{id}/output`), which may still be running.
    package static func output(_ id: String) throws -> Endpoint {
        try Endpoint("GET", .api, "/executions/\(segment(id))/output") {
            String(decoding: try $0.checked().body, as: UTF8.self)
        }
    }
}

extension Endpoint where Value == Page<Execution> {
    /// Returns executions (`GET /executions`).
    ///
    /// - Parameter filters: The parameters of the query, such as `runner`, `status`, `timestamp_gt` and `sort_asc`.
    package static func executions(_ filters: [(name: String, value: String)]) throws -> Endpoint {
        try Endpoint("GET", .api, "/executions", query: filters) { response in
            Page(
                items: try response.checked().decoded(),
                total: response.total)
        }
    }
}

extension Endpoint where Value == [Inquiry] {
    /// Returns the pending inquiries (`GET /inquiries`).
    package static func inquiries() throws -> Endpoint {
        try Endpoint("GET", .api, "/inquiries") { try $0.checked().decoded() }
    }
}

extension Endpoint where Value == Inquiry {
    /// Returns an inquiry (`GET /inquiries/{id}`).
    package static func inquiry(_ id: String) throws -> Endpoint {
        try Endpoint("GET", .api, "/inquiries/\(segment(id))") { try $0.checked().decoded() }
    }
}

extension Endpoint where Value == Void {
    /// Responds to an inquiry (`PUT /inquiries/{id}`).
    ///
    /// StackStorm responds with status 400 if the response does not match the schema and if there was a response
    /// before.
    package static func answer(_ id: String, _ response: [String: JSONValue]) throws -> Endpoint {
        let body: [String: JSONValue] = ["id": .string(id), "response": .object(response)]
        return try Endpoint("PUT", .api, "/inquiries/\(segment(id))", body: body) { _ = try $0.checked() }
    }
}
