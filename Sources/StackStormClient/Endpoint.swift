import Foundation
import PetrelSupport

/// A request to StackStorm's API and the function that decodes its response.
package struct Endpoint<Value: Sendable>: Sendable {
    /// A service of StackStorm.
    package enum Service: Sendable {
        /// The authentication service, at ``StackStormSettings/auth``.
        case auth
        /// The API, at ``StackStormSettings/api``.
        case api
    }

    /// The HTTP method.
    package var method: String
    /// The service to which the request is sent.
    package var service: Service
    /// The path below the URL of the service, such as `/executions`.
    package var path: String
    /// The parameters of the query, not encoded.
    package var query: [(name: String, value: String)]
    /// The JSON body, if there is one.
    package var body: [UInt8]?
    /// A function that checks the status of a response and decodes its body.
    package var decode: @Sendable (StackStormResponse) throws -> Value

    /// Creates an endpoint and encodes its body as JSON.
    package init(
        _ method: String, _ service: Service, _ path: String, query: [(name: String, value: String)] = [],
        body: (any Encodable)? = nil, decode: @escaping @Sendable (StackStormResponse) throws -> Value
    ) throws {
        let json = try body.map { try JSONValue.encode($0) }
        self.init(method, service, path, query: query, json: json, decode: decode)
    }

    /// Creates an endpoint with a body that is JSON already.
    package init(
        _ method: String, _ service: Service, _ path: String, query: [(name: String, value: String)] = [],
        json: [UInt8]?, decode: @escaping @Sendable (StackStormResponse) throws -> Value
    ) {
        self.method = method
        self.service = service
        self.path = path
        self.query = query
        body = json
        self.decode = decode
    }

    /// The path and the percent-encoded query (RFC 3986).
    package var target: String {
        guard !query.isEmpty else { return path }
        return path + "?" + query.map { "\(Self.encoded($0.name))=\(Self.encoded($0.value))" }.joined(separator: "&")
    }

    /// True if a call changes nothing in StackStorm, so that its outcome does not matter to a caller that was cancelled.
    var isSafe: Bool { method == "GET" || path == "/actionalias/match" }

    private static func encoded(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: .stackStormQuery) ?? ""
    }
}

extension CharacterSet {
    fileprivate static let stackStormQuery = CharacterSet(
        charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:,*")
}
