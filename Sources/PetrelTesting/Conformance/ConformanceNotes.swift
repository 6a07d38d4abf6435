import PetrelSupport

/// The times that a case has measured, and the reasons why it was skipped.
final class ConformanceNotes: Sendable {
    private let state = Locked((times: [String: Double](), missing: [String]()))

    var times: [String: Double] { state.withLock { $0.times } }
    var missing: [String] { state.withLock { $0.missing } }
    var isSkipped: Bool { !missing.isEmpty }

    func measured(_ name: String, _ duration: Duration) {
        state.withLock { $0.times[name] = max($0.times[name] ?? 0, duration / .seconds(1)) }
    }

    func skips(_ reasons: [String]) { state.withLock { $0.missing = reasons } }
}

/// Runs a closure, and throws ``ConformanceFailure`` if it takes longer than the limit. The closure is then cancelled
/// but not awaited, because it may not react to cancellation.
func withDeadline<Value: Sendable>(
    _ limit: Duration, _ awaited: String, file: StaticString = #fileID, line: UInt = #line,
    _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    let (results, continuation) = AsyncStream.makeStream(of: Result<Value, any Error>.self)
    let task = Task {
        do {
            continuation.yield(.success(try await work()))
        } catch {
            continuation.yield(.failure(error))
        }
    }
    let timer = Task {
        try await Task.sleep(for: limit)
        continuation.yield(
            .failure(
                ConformanceFailure(expected: awaited, got: "nothing within \(limit.inWords)", file: file, line: line)))
    }
    defer {
        task.cancel()
        timer.cancel()
    }
    return try await withTaskCancellationHandler {
        for await result in results { return try result.get() }
        throw CancellationError()
    } onCancel: {
        task.cancel()
        continuation.finish()
    }
}
