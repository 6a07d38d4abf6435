import Foundation
package import PetrelKit
package import PetrelSupport

/// An HTTP request as AWS Lambda passes it to a function: an event of API Gateway in the payload format 1.0 or 2.0, or of
/// a function URL, which has the format 2.0
/// (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html).
package struct LambdaEvent: Sendable {
    /// The reason for which an event cannot be handled, as a sentence.
    package struct Problem: Error, CustomStringConvertible {
        package let description: String
    }

    /// The request method.
    package var method: String
    /// The path, which may begin with the name of a stage.
    package var path: String
    /// The request.
    package var request: WebRequest

    /// Reads an event.
    package init(_ event: JSONValue) throws(Problem) {
        let context = event["requestContext"]
        let http = context?["http"]
        guard let method = http?["method"]?.string ?? event["httpMethod"]?.string else {
            throw Problem(description: "The event is not an HTTP request of API Gateway or of a function URL.")
        }
        self.method = method
        path = event["rawPath"]?.string ?? event["path"]?.string ?? "/"
        let origin = http?["sourceIp"]?.string ?? context?["identity"]?["sourceIp"]?.string ?? ""
        request = WebRequest(
            headers: Self.headers(event), query: event["rawQueryString"]?.string ?? Self.query(event),
            body: try Self.body(event), origin: origin)
    }

    /// Returns whether an event is that of a schedule of EventBridge, which keeps a process ready, and needs no answer.
    static func isScheduled(_ event: JSONValue) -> Bool {
        ["aws.events", "aws.scheduler"].contains(event["source"]?.string)
    }

    /// Returns the header fields by their names in lower case.
    private static func headers(_ event: JSONValue) -> [String: String] {
        var headers: [String: String] = [:]
        for (name, value) in event["headers"]?.object ?? [:] { headers[name.lowercased()] = value.string }
        for (name, values) in event["multiValueHeaders"]?.object ?? [:] where headers[name.lowercased()] == nil {
            headers[name.lowercased()] = values.array?.compactMap(\.string).joined(separator: ", ")
        }
        return headers
    }

    /// Returns the query of an event in the format 1.0, whose values are decoded.
    private static func query(_ event: JSONValue) -> String {
        let parameters = event["queryStringParameters"]?.object ?? [:]
        var allowed = CharacterSet.alphanumerics
        allowed.insert(charactersIn: "-._~")
        return parameters.sorted { $0.key < $1.key }.map { name, value in
            [name, value.string ?? ""].map { $0.addingPercentEncoding(withAllowedCharacters: allowed) ?? "" }
                .joined(separator: "=")
        }.joined(separator: "&")
    }

    private static func body(_ event: JSONValue) throws(Problem) -> [UInt8] {
        guard let text = event["body"]?.string else { return [] }
        guard event["isBase64Encoded"]?.bool == true else { return Array(text.utf8) }
        guard let data = Data(base64Encoded: text) else {
            throw Problem(description: "The body of the event is not valid Base64.")
        }
        return Array(data)
    }
}

extension WebResponse {
    /// The response as the result of a function.
    var lambdaResult: JSONValue {
        let text = String(validating: body, as: UTF8.self)
        return [
            "statusCode": .integer(status), "headers": .object(headers.mapValues { .string($0) }),
            "body": .string(text ?? Data(body).base64EncodedString()), "isBase64Encoded": .bool(text == nil),
        ]
    }
}

/// The routes of a function.
package struct LambdaRoutes: Sendable {
    private let routes: [WebRoute]

    package init(_ routes: [WebRoute]) { self.routes = routes }

    /// True if there is a route for slash commands.
    package var takeCommands: Bool { routes.contains { $0.path.hasSuffix("/commands") } }

    /// Returns the response to a request that has no route.
    func refusal(of event: LambdaEvent) -> WebResponse {
        routes.refusal(ofMethodAt: event.path) ?? .text("There is no such page.", status: 404)
    }

    /// Returns whether Slack sends an event again because the first response came late. The first request runs
    /// nevertheless, perhaps in another process, which knows nothing of this one.
    static func isRepeated(_ request: WebRequest) -> Bool {
        request.headers["x-slack-retry-reason"]?.isKeyword("http_timeout") == true
    }

    /// Returns the route of a request, and the request with the parameters of the path: by its path, or, because the path
    /// of a function is often not that of the bot, by the content that Slack sends.
    func route(_ event: LambdaEvent) -> (WebRoute, WebRequest)? {
        let candidates = routes.filter { $0.method.rawValue == event.method }
        var request = event.request
        for route in candidates {
            guard let parameters = route.parameters(of: event.path) else { continue }
            request.parameters = parameters
            return (route, request)
        }
        // A request without a signature is refused there.
        guard event.method == "POST" else { return nil }
        let body = event.request.body
        let type = event.request.headers["content-type"] ?? ""
        let isForm = type.lowercased().utf8.starts(with: "application/x-www-form-urlencoded".utf8)
        let kind =
            !isForm ? "/events" : body.starts(with: "payload=".utf8) ? "/interactivity" : "/commands"
        return candidates.first { $0.path.hasSuffix(kind) }.map { ($0, request) }
    }
}
