import PetrelKit
import PetrelSupport

/// Results that come while StackStorm's answer to the command itself is still on its way. They are said after the
/// acknowledgement, which people expect first.
final class OvertakenResults: Sendable {
    private let held = Locked<[String: [Announced]]>([:])

    func begin(_ request: String) { held.withLock { $0[request] = [] } }

    /// Whether the announcement belongs to a command that is not acknowledged yet, and is kept for ``end(_:)``.
    func hold(_ announced: Announced) -> Bool {
        guard let request = announced.request else { return false }
        return held.withLock { held in
            guard var list = held[request] else { return false }
            // The stream and the history may both bring it.
            if let index = list.firstIndex(where: { $0.isTheSame(as: announced) }) {
                list[index].source = list[index].source ?? announced.source
            } else {
                list.append(announced)
            }
            held[request] = list
            return true
        }
    }

    func end(_ request: String) -> [Announced] { held.withLock { $0.removeValue(forKey: request) ?? [] } }
}

extension Announced {
    /// One of them came on the stream and the other out of the history, or both are the same execution.
    fileprivate func isTheSame(as other: Announced) -> Bool {
        content == other.content && (source == other.source ? source != nil : source == nil || other.source == nil)
    }
}
