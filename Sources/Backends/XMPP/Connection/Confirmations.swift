import PetrelKit
import PetrelSupport

/// Tracks the delivery of messages that the bot's server accepted. A room reflects each message to all occupants,
/// including the sender (XEP-0045, section 7.4). Undeliverable messages are returned as errors (RFC 6121, section 8).
final class Confirmations: Sendable {
    /// The outcome of one message: nil if it was delivered, otherwise the error with which it was returned.
    typealias Outcome = Promised<StanzaError?>

    private struct Awaited {
        var target: JID
        var outcome = Outcome()
    }

    private let awaited = Locked<[String: Awaited]>([:])

    /// Registers a message and returns its future outcome.
    /// - Parameter id: the message's ID, which must be unguessable.
    func await(_ id: String, from target: JID) -> Outcome {
        let new = Awaited(target: target)
        awaited.withLock { $0[id] = new }
        return new.outcome
    }

    func forget(_ id: String) { awaited.withLock { $0[id] = nil } }

    /// Records the outcome of a message. Returns false if no such message to this address is registered.
    func settle(_ id: String?, from: JID, _ problem: StanzaError?) -> Bool {
        guard let id, let awaited = awaited.withLock({ $0[id] }), awaited.target.bare == from.bare else { return false }
        awaited.outcome.settle(problem)
        return true
    }
}
