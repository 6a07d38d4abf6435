import PetrelSupport

/// The write of an outbox entry that the store has not committed yet. An entry that is sent before that is never
/// written.
package final class PendingWrite: Sendable {
    private enum Status {
        case pending
        case written
        case sent(written: @Sendable () -> Void)
        /// The store rejected the entry.
        case lost
    }

    private let state = Locked((status: Status.pending, change: 0))

    /// Creates a write that is pending.
    package init() {}

    /// The number of the change in the queue of the store's writes.
    package var change: Int {
        get { state.withLock { $0.change } }
        set { state.withLock { $0.change = newValue } }
    }

    /// Begins the write. Returns false if the entry must not be written because it was already sent.
    package func begin() -> Bool {
        state.withLock { state in
            if case .sent = state.status { return false }
            state.status = .written
            return true
        }
    }

    /// Cancels the write because the message was sent. Returns false if it is too late, so that the entry has to be
    /// removed from the store.
    /// - Parameter written: a closure that is called once the records that belong to the message are stored.
    package func cancel(written: @escaping @Sendable () -> Void) -> Bool {
        let status = state.withLock { state in
            let status = state.status
            if case .pending = status { state.status = .sent(written: written) }
            return status
        }
        if case .lost = status { written() }
        if case .written = status { return false }
        return true
    }

    /// Ends the write: its transaction was committed, or the store rejected the change.
    package func end() {
        let status = state.withLock { state in
            defer { if case .pending = state.status { state.status = .lost } }
            return state.status
        }
        if case .sent(let written) = status { written() }
    }
}
