import PetrelKit
import PetrelSupport

/// A value that comes once, and whoever waits for it.
final class Promised<Value: Sendable>: Sendable {
    private let state = Locked<Value?>(nil)
    private let settled = Signal()

    /// Nil as long as it has not come.
    var value: Value? { state.value }

    /// What comes later changes nothing.
    func settle(_ value: Value) {
        state.withLock { if $0 == nil { $0 = value } }
        settled.open()
    }

    /// Nil where it does not come in this time.
    func wait(atMost limit: Duration) async -> Value? {
        await Signal.wait(for: settled, atMost: limit)
        return state.value
    }
}
