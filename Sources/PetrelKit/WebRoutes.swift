import PetrelSupport

/// A plug-in that answers HTTP.
public protocol WebRoutes: Sendable {
    var routes: [WebRoute] { get }
}

/// One method and path, and the function that answers it.
public struct WebRoute: Sendable {
    public enum Method: String, Sendable {
        case get = "GET"
        case post = "POST"
    }

    public var method: Method
    /// The whole path, without parameters: `/chatops/message`.
    public var path: String
    /// The longest body, in bytes; more is answered with 413 and not read.
    public var bodyLimit: Int
    public var handler: @Sendable (WebRequest) async -> WebResponse

    /// Looks at a request before its body is read; an answer refuses it.
    public var refusal: @Sendable (_ head: WebRequest) -> WebResponse? = { _ in nil }

    /// The same route, which refuses requests by their heads.
    public func refusing(_ refusal: @escaping @Sendable (_ head: WebRequest) -> WebResponse?) -> WebRoute {
        var route = self
        route.refusal = refusal
        return route
    }

    public init(
        _ method: Method, _ path: String, bodyLimit: Int = 1 << 20,
        handler: @escaping @Sendable (WebRequest) async -> WebResponse
    ) {
        self.method = method
        self.path = path
        self.bodyLimit = bodyLimit
        self.handler = handler
    }
}

public struct WebRequest: Sendable {
    /// Field names in lower case.
    public var headers: [String: String]
    public var query: String
    public var body: [UInt8]
    /// Where it comes from, as far as proxies that are trusted say.
    public var origin: String

    public init(headers: [String: String] = [:], query: String = "", body: [UInt8] = [], origin: String = "") {
        self.origin = origin
        self.headers = headers
        self.query = query
        self.body = body
    }
}

public struct WebResponse: Sendable {
    public var status: Int
    public var headers: [String: String]
    public var body: [UInt8]

    public init(status: Int, headers: [String: String] = [:], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    public static func text(_ text: String, status: Int = 200) -> WebResponse {
        WebResponse(
            status: status, headers: ["content-type": "text/plain; charset=utf-8"], body: Array((text + "\n").utf8))
    }

    public static func json(_ value: some Encodable, status: Int = 200) throws -> WebResponse {
        WebResponse(
            status: status, headers: ["content-type": "application/json"], body: try JSONValue.encode(value))
    }
}
