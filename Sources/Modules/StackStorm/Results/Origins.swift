import DequeModule
import PetrelKit
import PetrelSupport
import StackStormClient

/// Who gave a command, and where its result goes.
struct Origin: Sendable, Equatable {
    var address: Address
    var person: String
}

/// The origins of commands by their request ids. The store has them with the open and the started executions; here they
/// are at hand, since an announcement must not wait for it.
final class Origins: Sendable {
    /// As many as ``StartedExecutions`` keeps.
    static let capacity = 10_000

    private struct State {
        var origins: [String: Origin] = [:]
        var order: Deque<String> = []

        mutating func add(_ request: String, _ origin: Origin) {
            guard origins.updateValue(origin, forKey: request) == nil else { return }
            order.append(request)
            if order.count > Origins.capacity { origins[order.removeFirst()] = nil }
        }
    }

    private let state = Locked(State())

    func note(_ request: String, _ origin: Origin) { state.withLock { $0.add(request, origin) } }

    subscript(request: String) -> Origin? { state.withLock { $0.origins[request] } }

    /// What an earlier run stored, the oldest first.
    func restore(_ known: [(request: String, origin: Origin)]) {
        state.withLock { state in for (request, origin) in known { state.add(request, origin) } }
    }
}
