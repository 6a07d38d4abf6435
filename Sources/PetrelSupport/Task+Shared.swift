extension Task where Success: Sendable, Failure == any Error {
    /// The value of a task that several callers share. A caller that is cancelled stops waiting; the task goes on for
    /// the others.
    public var sharedValue: Success {
        get async throws {
            let done = Signal()
            let watching = Task<Void, Never> {
                _ = await result
                done.open()
            }
            await done.wait()
            watching.cancel()
            try Task<Never, Never>.checkCancellation()
            return try await value
        }
    }
}

extension Task where Success: Sendable {
    /// The value of a task that is its caller's alone: cancelling the caller cancels the task, and its end is waited for.
    public var ownValue: Result<Success, Failure> {
        get async {
            await withTaskCancellationHandler {
                await result
            } onCancel: {
                cancel()
            }
        }
    }
}
