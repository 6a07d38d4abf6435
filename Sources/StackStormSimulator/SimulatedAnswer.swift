import Foundation
import PetrelKit
import PetrelSupport

/// An HTTP response of the simulator.
package struct SimulatedAnswer: Sendable {
    package enum Body: Sendable {
        case bytes([UInt8])
        /// A part of a body, after which the connection is closed.
        case cut([UInt8])
        case stream(AsyncStream<[UInt8]>)
    }

    package var status: Int
    package var headers: [String: String]
    package var body: Body

    package init(status: Int, headers: [String: String], body: Body) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    static func json(_ value: JSONValue, status: Int = 200, headers: [String: String] = [:]) -> SimulatedAnswer {
        let bytes = (try? JSONValue.encode(value)) ?? []
        var headers = headers
        headers["content-type"] = "application/json"
        headers["x-request-id"] = UUID().uuidString.lowercased()
        return SimulatedAnswer(status: status, headers: headers, body: .bytes(bytes))
    }

    static func fault(_ status: Int, _ text: String) -> SimulatedAnswer {
        json(.object(["faultstring": .string(text)]), status: status)
    }

    static func text(_ text: String, status: Int = 200, type: String = "text/plain") -> SimulatedAnswer {
        SimulatedAnswer(status: status, headers: ["content-type": type], body: .bytes(Array(text.utf8)))
    }

    /// Returns the response with a text of the body replaced.
    func replacing(_ text: String, with replacement: String) -> SimulatedAnswer {
        guard case .bytes(let bytes) = body else { return self }
        var answer = self
        answer.body = .bytes(Array(String(decoding: bytes, as: UTF8.self).replacing(text, with: replacement).utf8))
        return answer
    }

    static let notFound = fault(404, "The resource could not be found.")
}

/// An HTTP request to the simulator.
package struct SimulatedRequest: Sendable {
    package var method: String
    package var path: String
    package var query: [String: String]
    /// The headers, with names in lower case.
    package var headers: [String: String]
    package var body: [UInt8]

    package init(method: String, target: String, headers: [String: String] = [:], body: [UInt8] = []) {
        self.method = method
        let parts = target.split(separator: "?", maxSplits: 1)
        path = parts.first.map(String.init) ?? "/"
        query = [:]
        for pair in (parts.count > 1 ? parts[1] : "").split(separator: "&") {
            let sides = pair.split(separator: "=", maxSplits: 1).map {
                String($0).removingPercentEncoding ?? String($0)
            }
            query[sides[0]] = sides.count > 1 ? sides[1] : ""
        }
        self.headers = headers
        self.body = body
    }

    /// Returns the body as a JSON object. StackStorm treats an empty body as an empty object.
    func object() throws -> [String: JSONValue] {
        guard !body.isEmpty else { return [:] }
        guard let json = try? JSONValue.parse(body) else {
            throw SimulatedRefusal(400, "Failed to parse request body: unexpected character: line 1 column 1 (char 0)")
        }
        guard let object = json.object else { throw SimulatedRefusal(400, "the body is not of type 'object'") }
        return object
    }
}

/// An error response with a `faultstring`.
struct SimulatedRefusal: Error {
    var status: Int
    var text: String

    init(_ status: Int, _ text: String) {
        self.status = status
        self.text = text
    }

    /// Returns the error of RBAC for a missing permission.
    static func lacking(_ permission: String, _ user: String) -> SimulatedRefusal {
        SimulatedRefusal(403, "User \"\(user)\" doesn't have required permission \"\(permission)\"")
    }
}
