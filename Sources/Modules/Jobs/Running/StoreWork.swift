import PetrelSupport

/// Work that waits until the store has room, or has written something.
enum StoreWork {
    /// The time for which the work goes on when Petrel stops.
    private static let rest = Duration.seconds(1)

    /// Runs work, whether or not the current task is cancelled. It is cancelled a moment after Petrel begins to stop.
    static func run<Value: Sendable>(
        until isStopping: Signal, _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let task = Task { try await work() }
        let limit = Task {
            await isStopping.wait()
            // Sleeping fails only if the work has ended.
            if (try? await Task.sleep(for: rest)) != nil { task.cancel() }
        }
        defer { limit.cancel() }
        return try await task.value
    }
}
