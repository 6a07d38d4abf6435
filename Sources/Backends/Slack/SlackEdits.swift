import PetrelKit

/// Where the messages are that may be changed later: the newest of them, in memory.
final class SlackEdits: Sendable {
    private static let capacity = 1_000

    private struct State {
        var places: [String: (channel: String, time: String)] = [:]
        var order: [String] = []
    }

    private let state = Locked(State())

    func remember(_ handle: String, channel: String, time: String) {
        state.withLock { state in
            if state.places.updateValue((channel, time), forKey: handle) == nil { state.order.append(handle) }
            if state.order.count > Self.capacity { state.places[state.order.removeFirst()] = nil }
        }
    }

    func place(of handle: String) -> (channel: String, time: String)? { state.withLock { $0.places[handle] } }
}
