import DequeModule
import PetrelKit
import PetrelSupport
import StackStormClient

/// The user of a command and the address for its result.
struct Origin: Sendable, Equatable {
    var address: Address
    var person: String
}

/// The origins of recent commands by request ID.
///
/// They are in memory because an announcement must not wait for the store, which has them as part of the executions.
final class Origins: Sendable {
    /// The maximum number of origins, which is that of ``StartedExecutions``.
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

    /// Adds origins of earlier runs, the oldest first.
    func restore(_ known: [(request: String, origin: Origin)]) {
        state.withLock { state in for (request, origin) in known { state.add(request, origin) } }
    }
}
