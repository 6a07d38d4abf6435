import PetrelKit
import PetrelSupport

/// The results that arrive before StackStorm's response to the command. They are posted after the acknowledgement.
final class OvertakenResults: Sendable {
    private let held = Locked<[String: [Announced]]>([:])

    /// Begins to hold the results of a command.
    func begin(_ request: String) { held.withLock { $0[request] = [] } }

    /// Holds an announcement until ``end(_:)`` and returns true, if its command is not acknowledged yet.
    func hold(_ announced: Announced) -> Bool {
        guard let request = announced.request else { return false }
        return held.withLock { held in
            guard var list = held[request] else { return false }
            // It may be both on the stream and in the history.
            if let index = list.firstIndex(where: { $0.isTheSame(as: announced) }) {
                list[index].source = list[index].source ?? announced.source
            } else {
                list.append(announced)
            }
            held[request] = list
            return true
        }
    }

    /// Ends holding the results of a command, and returns them.
    func end(_ request: String) -> [Announced] { held.withLock { $0.removeValue(forKey: request) ?? [] } }
}

extension Announced {
    /// Returns true if one announcement is from the stream and the other from the history, or both are the same
    /// execution.
    func isTheSame(as other: Announced) -> Bool {
        content == other.content && (source == other.source ? source != nil : source == nil || other.source == nil)
    }
}
