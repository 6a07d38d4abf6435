import PetrelKit
import PetrelSupport

/// A value that is set once and can be awaited.
final class Promised<Value: Sendable>: Sendable {
    private let state = Locked<Value?>(nil)
    private let settled = Signal()

    /// The value, or nil if it is not set yet.
    var value: Value? { state.value }

    /// Sets the value. Later calls have no effect.
    func settle(_ value: Value) {
        state.withLock { if $0 == nil { $0 = value } }
        settled.open()
    }

    /// Waits for the value. Returns nil if it is not set within the limit.
    func wait(atMost limit: Duration) async -> Value? {
        await Signal.wait(for: settled, atMost: limit)
        return state.value
    }
}
