import Foundation
import PetrelSupport

/// One call of StackStorm's API: what is sent, and how the answer is read.
package struct Endpoint<Value: Sendable>: Sendable {
    package enum Service: Sendable { case auth, api }

    package var method: String
    package var service: Service
    package var path: String
    package var query: [(name: String, value: String)]
    package var body: [UInt8]?
    package var decode: @Sendable (StackStormResponse) throws -> Value

    package init(
        _ method: String, _ service: Service, _ path: String, query: [(name: String, value: String)] = [],
        body: (any Encodable)? = nil, decode: @escaping @Sendable (StackStormResponse) throws -> Value
    ) throws {
        let json = try body.map { try JSONValue.encode($0) }
        self.init(method, service, path, query: query, json: json, decode: decode)
    }

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

    /// Path and query, percent-encoded (RFC 3986).
    package var target: String {
        guard !query.isEmpty else { return path }
        return path + "?" + query.map { "\(Self.encoded($0.name))=\(Self.encoded($0.value))" }.joined(separator: "&")
    }

    private static func encoded(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: .stackStormQuery) ?? ""
    }
}

extension CharacterSet {
    fileprivate static let stackStormQuery = CharacterSet(
        charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:,*")
}
