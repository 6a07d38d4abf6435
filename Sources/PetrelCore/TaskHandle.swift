import PetrelSupport

/// The handle of one job of a ``TaskPool``, to cancel it.
package final class TaskHandle: Sendable {
    private let state = Locked((task: Task<Void, Never>?.none, isCancelled: false))

    /// Creates a handle of a job that is not started yet.
    package init() {}

    /// Sets the task of the job.
    func hold(_ task: Task<Void, Never>) {
        let isCancelled = state.withLock { state in
            state.task = task
            return state.isCancelled
        }
        if isCancelled { task.cancel() }
    }

    /// Cancels the job, at its start if it is not started yet.
    package func cancel() {
        let task = state.withLock { state in
            state.isCancelled = true
            return state.task
        }
        task?.cancel()
    }
}
