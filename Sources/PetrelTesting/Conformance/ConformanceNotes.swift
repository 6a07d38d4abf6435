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

/// Counts the time in steps, each of which takes at least a tenth of a second. A time for which the whole machine stands
/// still is one step, and so cannot use up a limit.
final class StepClock: Sendable {
    static let step = Duration.milliseconds(100)
    private let count = Locked(0)
    private let counting = Locked<Task<Void, any Error>?>(nil)

    /// The steps since the start.
    var elapsed: Duration { Self.step * count.value }

    func start() {
        let task = Task { [count] in
            while true {
                try await Task.sleep(for: Self.step)
                count.withLock { $0 += 1 }
            }
        }
        counting.withLock { $0 = task }
    }

    func stop() { counting.value?.cancel() }

    /// Returns after the steps of a duration.
    static func sleep(for duration: Duration) async throws {
        var left = duration
        while left > .zero {
            try await Task.sleep(for: min(left, step))
            left -= step
        }
    }
}

/// Runs a closure, and throws ``ConformanceFailure`` if it takes longer than the limit, as ``StepClock`` counts. The
/// closure is then cancelled but not awaited, because it may not react to cancellation.
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
        try await StepClock.sleep(for: limit)
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
