extension Task where Failure == any Error {
    /// The value of a task that several callers share. When one of them is cancelled, which happens only when Petrel
    /// stops, so is the task.
    package var cancellableValue: Success {
        get async throws {
            try await withTaskCancellationHandler {
                try await value
            } onCancel: {
                cancel()
            }
        }
    }
}
