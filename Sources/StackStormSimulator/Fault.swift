import PetrelKit
package import PetrelSupport

/// A way in which the simulated StackStorm misbehaves.
package enum Fault: Sendable, Equatable {
    /// An error in StackStorm's own form.
    case status(Int)
    /// An error without a word.
    case blank(Int)
    /// A proxy's page instead of an answer.
    case html(Int)
    /// 200 with half a JSON text.
    case garbage
    /// No answer until the caller gives up.
    case hang
    /// What was asked for is done, and no answer comes until the caller gives up.
    case hangAfter
    /// What was asked for is done, and an error is answered: as StackStorm's own nginx does where the connection to the
    /// API broke after the work.
    case statusAfter(Int)
    /// The connection is closed in the middle of the body.
    case cut
    /// For the stream: 200 with `retry: 1000` and the end, as nginx answers for a dead stream service.
    case retryAndClose
    /// For the stream: a head, and then silence, as through a half-open connection.
    case silent

    /// What was asked for is done first.
    var comesAfter: Bool {
        switch self {
        case .hangAfter, .statusAfter: true
        default: false
        }
    }

    /// What faults are set for: the first part of the path after the version.
    package enum Area: String, Sendable, CaseIterable {
        case tokens, user, actionalias, aliasexecution, executions, inquiries, stream
    }

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
