package import PetrelSupport

extension Endpoint {
    static func segment(_ text: String) throws -> String {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0.isWordByte }) else {
            throw StackStormError(.notFound, "“\(text.prefix(80))” is not an id")
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
    /// `POST /tokens` with Basic authentication. Never repeated by itself: each call makes a token.
    /// - Parameters:
    ///   - ttl: seconds.
    ///   - person: somebody else, whose token a service may ask for.
    package static func token(ttl: Int?, of person: Impersonated? = nil) throws -> Endpoint {
        var body = person?.body ?? [:]
        if let ttl { body["ttl"] = .integer(ttl) }
        return try Endpoint("POST", .auth, "/tokens", body: body) {
            try $0.checked(at: "auth_url").decoded()
        }
    }
}

extension Endpoint where Value == Account {
    /// `GET /user`: who a credential is. The proof of a token and of an API key alike.
    package static func user() throws -> Endpoint {
        try Endpoint("GET", .api, "/user") { try $0.checked(at: "api_url").decoded() }
    }
}

extension Endpoint where Value == Page<Alias> {
    /// One page of aliases; a limit of -1 asks for all. An alias that cannot be read is listed apart.
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
    /// One page of a list with some of its attributes; items that lack what is wanted are left out.
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
    /// The references of one page of aliases.
    package static func aliasRefs(offset: Int, limit: Int) throws -> Endpoint {
        try page(of: "/actionalias", attributes: "ref,pack,name", offset: offset, limit: limit) { $0["ref"]?.string }
    }
}

extension Endpoint where Value == Page<ActionSchema> {
    /// One page of actions, with their parameters and runners only.
    package static func actions(offset: Int, limit: Int) throws -> Endpoint {
        try page(of: "/actions", attributes: "ref,pack,name,parameters,runner_type", offset: offset, limit: limit) {
            ActionSchema(json: $0)
        }
    }
}

extension Endpoint where Value == ActionSchema {
    /// `GET /actions/{ref}`.
    package static func action(_ ref: String) throws -> Endpoint {
        try Endpoint("GET", .api, "/actions/\(segment(ref))") {
            let response = try $0.checked()
            guard let schema = ActionSchema(json: try response.json()) else {
                throw response.unexpected("it is no action")
            }
            return schema
        }
    }
}

extension Endpoint where Value == Alias {
    /// `GET /actionalias/{ref or id}`.
    package static func alias(_ ref: String) throws -> Endpoint {
        try Endpoint("GET", .api, "/actionalias/\(segment(ref))") { try Alias(json: $0.checked().json()) }
    }
}

/// What `POST /actionalias/match` found.
package struct ServerMatch: Sendable {
    package var alias: Alias
    package var representation: String
}

extension Endpoint where Value == ServerMatch {
    /// `POST /actionalias/match`. No match and several matches are both a 400.
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
    /// `GET /actionalias/help`.
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
    /// `POST /aliasexecution`.
    /// - Parameter isWhole: whether more is wanted of the execution than its id, status, start and address.
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
    /// `POST /aliasexecution/match_and_execute`: the only way to run an alias with `match_multiple`. StackStorm rejects
    /// `source_context` here.
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
    /// `DELETE /executions/{id}`. A finished one answers 200 with a `faultstring`, which is what this returns.
    package static func cancel(_ id: String) throws -> Endpoint {
        try Endpoint("DELETE", .api, "/executions/\(segment(id))") {
            try $0.checked().decoded(as: Cancellation.self).faultstring
        }
    }
}

extension Endpoint where Value == String {
    /// `GET /executions/{id}/output`: plain text, readable while it runs.
    package static func output(_ id: String) throws -> Endpoint {
        try Endpoint("GET", .api, "/executions/\(segment(id))/output") {
            String(decoding: try $0.checked().body, as: UTF8.self)
        }
    }
}

extension Endpoint where Value == Page<Execution> {
    /// `GET /executions` with StackStorm's own filters, such as `runner`, `status`, `timestamp_gt`, `sort_asc`.
    package static func executions(_ filters: [(name: String, value: String)]) throws -> Endpoint {
        try Endpoint("GET", .api, "/executions", query: filters) { response in
            Page(
                items: try response.checked().decoded(),
                total: response.total)
        }
    }
}

extension Endpoint where Value == [Inquiry] {
    package static func inquiries() throws -> Endpoint {
        try Endpoint("GET", .api, "/inquiries") { try $0.checked().decoded() }
    }
}

extension Endpoint where Value == Inquiry {
    package static func inquiry(_ id: String) throws -> Endpoint {
        try Endpoint("GET", .api, "/inquiries/\(segment(id))") { try $0.checked().decoded() }
    }
}

extension Endpoint where Value == Void {
    /// `PUT /inquiries/{id}`. A bad answer and a second one are both a 400.
    package static func answer(_ id: String, _ response: [String: JSONValue]) throws -> Endpoint {
        let body: [String: JSONValue] = ["id": .string(id), "response": .object(response)]
        return try Endpoint("PUT", .api, "/inquiries/\(segment(id))", body: body) { _ = try $0.checked() }
    }
}
