import Foundation
import PetrelKit
import PetrelSupport

extension SimulatedStackStorm {
    private static let longest = 86_400

    /// Returns the user of a request. An invalid token is an error even if there is a valid API key.
    func authenticate(_ request: SimulatedRequest) throws -> String {
        if let token = request.headers["x-auth-token"] ?? request.query["x-auth-token"] {
            guard let state = tokens[token] else { throw SimulatedRefusal(401, "Unauthorized") }
            guard state.expiry > .now else { throw SimulatedRefusal(401, "Unauthorized - Token has expired.") }
            return state.user
        }
        if let key = request.headers["st2-api-key"] ?? request.query["st2-api-key"] {
            guard let user = apiKeys[key] else {
                throw SimulatedRefusal(401, "Unauthorized - ApiKey with key_hash=0000 not found.")
            }
            return user
        }
        throw SimulatedRefusal(401, "Unauthorized - One of Token or API key required.")
    }

    func whoami(_ request: SimulatedRequest, _ user: String) -> SimulatedAnswer {
        var authentication: [String: JSONValue] = ["method": "API key", "location": "header"]
        if let token = request.headers["x-auth-token"], let state = tokens[token] {
            authentication["method"] = "authentication token"
            authentication["token_expire"] = .string(state.expiry.formatted(.iso8601))
        }
        return .json([
            "username": .string(user), "authentication": .object(authentication),
            "rbac": ["enabled": false, "roles": [], "is_admin": true],
        ])
    }

    func auth(_ request: SimulatedRequest, _ path: [String]) throws -> SimulatedAnswer {
        switch (request.method, path) {
        case ("POST", ["tokens"]): return try makeToken(request)
        case ("POST", ["tokens", "validate"]):
            _ = try authenticate(request)
            guard let token = try request.object()["token"]?.string else {
                throw SimulatedRefusal(400, "'token' is a required property")
            }
            return .json(["valid": .bool((tokens[token]?.expiry ?? .distantPast) > .now)])
        default: return .notFound
        }
    }

    private func makeToken(_ request: SimulatedRequest) throws -> SimulatedAnswer {
        let body = try request.object()
        let ttl = try lifetime(body["ttl"])
        guard let asker = basicUser(request) else { throw SimulatedRefusal(401, "Invalid or missing credentials") }
        let user = try impersonated(by: asker, body) ?? asker
        let token = UUID().uuidString.lowercased().filter { $0 != "-" }
        let expiry = Date.now + TimeInterval(ttl)
        tokens[token] = TokenState(user: user, expiry: expiry)
        return .json(
            [
                "user": .string(user), "token": .string(token), "expiry": .string(Self.timestamp(expiry)),
                "metadata": .object([:]), "service": false, "id": .string(newID()),
            ], status: 201)
    }

    /// Returns the user whose token a service account requests, or nil if it requests its own.
    private func impersonated(by asker: String, _ body: [String: JSONValue]) throws -> String? {
        guard let wanted = body["user"]?.string ?? body["impersonate_user"]?.string else { return nil }
        guard users.first(where: { $0.name == asker })?.isService == true else {
            throw SimulatedRefusal(400, "Current user is not a service and cannot request impersonated tokens")
        }
        // StackStorm creates a user that does not exist.
        if body["user"]?.string != nil { return wanted }
        guard let origin = body["nickname_origin"]?.string else {
            throw SimulatedRefusal(400, "Nickname origin is not provided for nickname '\(wanted)'")
        }
        guard let user = users.first(where: { $0.nicknames[origin] == wanted }) else {
            throw SimulatedRefusal(400, "Could not locate user \(wanted)@\(origin)")
        }
        return user.name
    }

    /// Makes an account a service account. In StackStorm, that is possible only in its database.
    package func makeService(_ name: String) {
        for index in users.indices where users[index].name == name { users[index].isService = true }
    }

    package func nickname(_ name: String, _ nickname: String, of origin: String) {
        for index in users.indices where users[index].name == name { users[index].nicknames[origin] = nickname }
    }

    private func lifetime(_ ttl: JSONValue?) throws -> Int {
        switch ttl ?? .null {
        case .null: return Self.longest
        case .integer(let seconds) where seconds > Self.longest:
            throw SimulatedRefusal(400, "TTL specified \(seconds) is greater than max allowed \(Self.longest).")
        case .integer(let seconds) where seconds < 1:
            throw SimulatedRefusal(400, "\(seconds) is less than the minimum of 1")
        case .integer(let seconds): return seconds
        case let other: throw SimulatedRefusal(400, "'\(other.string ?? "")' is not of type 'integer', 'null'")
        }
    }

    private func basicUser(_ request: SimulatedRequest) -> String? {
        let words = (request.headers["authorization"] ?? "").split(separator: " ")
        guard words.count == 2, words[0].lowercased() == "basic", let data = Data(base64Encoded: String(words[1]))
        else { return nil }
        let parts = String(decoding: data, as: UTF8.self).split(separator: ":", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        return users.first { $0.name == parts[0] && $0.password == parts[1] }?.name
    }
}
