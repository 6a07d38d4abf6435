import Foundation
import PetrelKit

extension SimulatedStackStorm {
    private static let longest = 86_400

    /// The user of a request. A bad token beside a good API key is a 401.
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
        let ttl = try lifetime(request.object()["ttl"])
        guard let user = basicUser(request) else { throw SimulatedRefusal(401, "Invalid or missing credentials") }
        let token = UUID().uuidString.lowercased().filter { $0 != "-" }
        let expiry = Date.now + TimeInterval(ttl)
        tokens[token] = TokenState(user: user, expiry: expiry)
        return .json(
            [
                "user": .string(user), "token": .string(token), "expiry": .string(Self.timestamp(expiry)),
                "metadata": .object([:]), "service": false, "id": .string(newID()),
            ], status: 201)
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
