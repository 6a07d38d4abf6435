import PetrelKit
import PetrelSupport

/// What became of messages after our server took them: a room shows each to all who are in it, and to who sent it as well
/// (XEP-0045, section 7.4); what cannot be handed on comes back as an error (RFC 6121, section 8).
final class Confirmations: Sendable {
    /// Nil where it was shown, else why it came back.
    typealias Word = Promised<StanzaError?>

    private struct Awaited {
        var target: JID
        var word = Word()
    }

    private let awaited = Locked<[String: Awaited]>([:])

    /// - Parameter id: names the message, and nobody can guess it.
    func await(_ id: String, from target: JID) -> Word {
        let new = Awaited(target: target)
        awaited.withLock { $0[id] = new }
        return new.word
    }

    func forget(_ id: String) { awaited.withLock { $0[id] = nil } }

    /// A stanza that came back. False where nobody waits for it.
    func settle(_ id: String?, from: JID, _ problem: StanzaError?) -> Bool {
        guard let id, let awaited = awaited.withLock({ $0[id] }), awaited.target.bare == from.bare else { return false }
        awaited.word.settle(problem)
        return true
    }
}
