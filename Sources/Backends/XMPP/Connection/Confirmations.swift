import PetrelKit
import PetrelSupport

/// Tracks the delivery of messages that the bot's server accepted. A room reflects each message to all occupants,
/// including the sender (XEP-0045, section 7.4). Undeliverable messages are returned as errors (RFC 6121, section 8).
final class Confirmations: Sendable {
    /// The outcome of one message.
    enum Outcome: Sendable {
        /// The room has reflected it.
        case delivered
        /// It was returned with an error.
        case returned(StanzaError)
        /// The backend has stopped, so that nothing more will be known.
        case unknown
    }

    private struct Awaited {
        var target: JID
        var outcome = Promised<Outcome>()
    }

    private let awaited = Locked<[String: Awaited]>([:])

    /// Registers a message and returns its future outcome.
    /// - Parameter id: the message's ID, which must be unguessable.
    func await(_ id: String, from target: JID) -> Promised<Outcome> {
        let new = Awaited(target: target)
        awaited.withLock { $0[id] = new }
        return new.outcome
    }

    func forget(_ id: String) { awaited.withLock { $0[id] = nil } }

    /// Records the outcome of a message. Returns false if no such message to this address is registered.
    func settle(_ id: String?, from: JID, _ outcome: Outcome) -> Bool {
        guard let id, let awaited = awaited.withLock({ $0[id] }), awaited.target.bare == from.bare else { return false }
        awaited.outcome.settle(outcome)
        return true
    }

    /// Ends the wait for the outcomes of all messages.
    func abandon() { for message in awaited.value.values { message.outcome.settle(.unknown) } }
}
