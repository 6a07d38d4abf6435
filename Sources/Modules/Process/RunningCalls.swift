import PetrelKit
import PetrelSupport

/// The commands that a program is running, by the id of the call.
final class RunningCalls: Sendable {
    private let state = Locked((last: 0, calls: [String: Invocation]()))

    /// Adds a call and returns its id.
    func begin(_ invocation: Invocation) -> String {
        state.withLock { state in
            state.last += 1
            state.calls["\(state.last)"] = invocation
            return "\(state.last)"
        }
    }

    func end(_ call: String) { state.withLock { $0.calls[call] = nil } }

    /// Returns the invocation of a call that is running.
    func invocation(_ call: String) -> Invocation? { state.withLock { $0.calls[call] } }
}
