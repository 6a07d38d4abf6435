import PetrelSupport

/// A module or a backend that handles HTTP requests.
public protocol WebRoutes: Sendable {
    /// The routes, which must not change.
    var routes: [WebRoute] { get }
}

/// A method, a path, and the closure that handles their requests.
public struct WebRoute: Sendable {
    /// A request method.
    public enum Method: String, Sendable {
        /// GET.
        case get = "GET"
        /// POST.
        case post = "POST"
    }

    /// The request method.
    public var method: Method
    /// The complete path, such as `/chatops/message`. A part in braces, as in `/jobs/{id}`, stands for any text, which
    /// handlers find in ``WebRequest/parameters``.
    public var path: String
    /// The maximum size of a body, in bytes. A larger body is not read, and the response has the status 413.
    public var bodyLimit: Int
    /// Handles a request.
    public var handler: @Sendable (WebRequest) async -> WebResponse

    /// Checks a request before its body is read. Returns a response to reject it; nil to accept it.
    public var refusal: @Sendable (_ head: WebRequest) -> WebResponse? = { _ in nil }

    /// Tells the sender of a request that was acknowledged before ``handler`` accepted it (503) why it is not carried out;
    /// the reason is a clause. Nil if a request must not be acknowledged before it is handled.
    package var apology: (@Sendable (_ request: WebRequest, _ reason: String) async -> Void)?

    /// Returns the route with this closure; see ``apology``.
    package func apologizing(
        _ apology: @escaping @Sendable (_ request: WebRequest, _ reason: String) async -> Void
    ) -> WebRoute {
        var route = self
        route.apology = apology
        return route
    }

    /// Returns the route with this check; see ``refusal``.
    public func refusing(_ refusal: @escaping @Sendable (_ head: WebRequest) -> WebResponse?) -> WebRoute {
        var route = self
        route.refusal = refusal
        return route
    }

    /// Creates a route.
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

/// An HTTP request.
public struct WebRequest: Sendable {
    /// The header fields, by their names in lower case.
    public var headers: [String: String]
    /// The query of the URL, without the question mark; may be empty.
    public var query: String
    /// The texts for the parts of the path that are in braces, by their names.
    public var parameters: [String: String] = [:]
    /// The body.
    public var body: [UInt8]
    /// The IP address of the client, as reported by trusted proxies.
    public var origin: String

    /// Creates a request.
    public init(headers: [String: String] = [:], query: String = "", body: [UInt8] = [], origin: String = "") {
        self.origin = origin
        self.headers = headers
        self.query = query
        self.body = body
    }
}

/// An HTTP response.
public struct WebResponse: Sendable {
    /// The status code.
    public var status: Int
    /// The header fields, by their names in lower case.
    public var headers: [String: String]
    /// The body.
    public var body: [UInt8]

    /// Creates a response.
    public init(status: Int, headers: [String: String] = [:], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// Creates a plain-text response, with a line break at the end.
    public static func text(_ text: String, status: Int = 200) -> WebResponse {
        WebResponse(
            status: status, headers: ["content-type": "text/plain; charset=utf-8"], body: Array((text + "\n").utf8))
    }

    /// Creates a JSON response. Throws if the value cannot be encoded.
    public static func json(_ value: some Encodable, status: Int = 200) throws -> WebResponse {
        WebResponse(
            status: status, headers: ["content-type": "application/json"], body: try JSONValue.encode(value))
    }
}

extension WebRoute {
    /// Returns the texts for the parts of the path that are in braces; nil if the route has another path.
    public func parameters(of path: String) -> [String: String]? {
        let (parts, pattern) = (path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false), names)
        guard parts.count == pattern.count else { return nil }
        var parameters: [String: String] = [:]
        for (part, expected) in zip(parts, pattern) {
            if expected.first == UInt8(ascii: "{"), expected.last == UInt8(ascii: "}"), !part.isEmpty {
                parameters[String(Substring(expected.dropFirst().dropLast()))] = String(Substring(part))
            } else if !part.elementsEqual(expected) {
                return nil
            }
        }
        return parameters
    }

    /// The parts of the path.
    private var names: [Substring.UTF8View] {
        path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    }
}

extension Collection<WebRoute> {
    /// Returns the response to a request with a known path and a method that no route of the path has: 405, with the
    /// methods that are allowed. Returns nil if no route has the path.
    package func refusal(ofMethodAt path: String) -> WebResponse? {
        let methods = Set(filter { $0.parameters(of: path) != nil }.map(\.method.rawValue))
        if methods.isEmpty { return nil }
        // A GET route also answers HEAD.
        let allowed = methods.union(methods.contains(WebRoute.Method.get.rawValue) ? ["HEAD"] : []).sorted()
        let list = allowed.joined(separator: ", ")
        var response = WebResponse.text("Method not allowed; use \(allowed.joined(separator: " or ")).", status: 405)
        response.headers["allow"] = list
        return response
    }
}
