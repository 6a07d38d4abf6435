extension Task where Success: Sendable, Failure == any Error {
    /// The value of a task that several callers share.
    ///
    /// If a caller is cancelled, it stops waiting and throws `CancellationError`; the task continues for the others.
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
    /// The result of a task that belongs to its only caller.
    ///
    /// If the caller is cancelled, the task is cancelled as well. The caller always waits for the end of the task.
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
