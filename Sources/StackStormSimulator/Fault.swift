import PetrelKit
package import PetrelSupport

/// A fault of the simulated StackStorm.
package enum Fault: Sendable, Equatable {
    /// The response is an error with a `faultstring`.
    case status(Int)
    /// The response is an error without a `faultstring`.
    case blank(Int)
    /// The response is an HTML page, as from a proxy.
    case html(Int)
    /// The response has status 200 and truncated JSON.
    case garbage
    /// The request is ignored, and there is no response until the client gives up.
    case hang
    /// The request is carried out, and there is no response until the client gives up.
    case hangAfter
    /// The request is carried out, and the response is an error. StackStorm's nginx does this if its connection to the
    /// API breaks after the work was done.
    case statusAfter(Int)
    /// The connection is closed in the middle of the body.
    case cut
    /// The stream responds with status 200 and `retry: 1000` and ends, as nginx does if the stream service is down.
    case retryAndClose
    /// The stream sends the head of the response and nothing else, as through a half-open connection.
    case silent

    /// True if the request is carried out first.
    var comesAfter: Bool {
        switch self {
        case .hangAfter, .statusAfter: true
        default: false
        }
    }

    /// The endpoints for which a fault is set: the first segment of the path after the version.
    package enum Area: String, Sendable, CaseIterable {
        case tokens, user, actionalias, aliasexecution, executions, inquiries, stream
    }

    /// Reads a fault from the JSON of the control endpoint. Returns nil for an unknown fault.
    package init?(json: JSONValue) {
        switch json {
        case .integer(let status): self = .status(status)
        case .string("garbage"): self = .garbage
        case .string("hang"): self = .hang
        case .string("hang-after"): self = .hangAfter
        case .string("503-after"): self = .statusAfter(503)
        case .string("cut"): self = .cut
        case .string("html"): self = .html(502)
        case .string("retry"): self = .retryAndClose
        case .string("silent"): self = .silent
        default: return nil
        }
    }
}
