import PetrelKit
import PetrelSupport
import ServiceLifecycle

/// Runs closures as tasks that end with one service, so that nothing outlives the process's orderly end.
///
/// At the end, what runs may finish, and may start what it needs for that, such as the delivery of its reply. What
/// takes longer than ``patience`` is cancelled, and then finishes.
package final class TaskPool: Service {
    package typealias Job = @Sendable () async -> Void

    private struct State {
        var running: [Int: Task<Void, Never>] = [:]
        /// Jobs that came before the service ran.
        var early: [Job] = []
        var count = 0
        /// What waits to try something again.
        var pauses: [Int: Task<Void, any Error>] = [:]
        var isRunning = false
        var isClosing = false
        var hasEnded = false
    }

    /// Well below the ten seconds in which the process has to be gone.
    private static let patience = Duration.seconds(5)

    private let executor: (any TaskExecutor)?
    private let state = Locked(State())
    private let isOver = Signal()

    /// - Parameter executor: where the tasks run; nil: on Swift's own threads.
    package init(on executor: (any TaskExecutor)? = nil) {
        self.executor = executor
    }

    /// Starts a closure. What comes after the end is not started.
    package func spawn(_ job: @escaping Job) {
        state.withLock { state in
            guard !state.hasEnded else { return }
            guard state.isRunning else { return state.early.append(job) }
            // It cannot end before it is in the table: that takes the lock.
            state.count += 1
            let number = state.count
            state.running[number] = Task(executorPreference: executor) {
                await job()
                self.ended(number)
            }
        }
    }

    package func run() async throws {
        let early = state.withLock { state in
            defer { state.early = [] }
            state.isRunning = true
            return state.early
        }
        for job in early { spawn(job) }
        await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                // Not cancelled with this one: others wait for the jobs.
                await Task { await self.isOver.wait() }.value
            } onGracefulShutdown: {
                self.close(patience: Self.patience)
            }
        } onCancel: {
            close(patience: .zero)
        }
    }

    /// For a job that waits to try something again. False where the end comes first, and it should not.
    func pause(for duration: Duration, on clock: any Clock<Duration>) async -> Bool {
        let (number, sleep) = state.withLock { state in
            let sleep = Task { try await clock.sleep(for: duration) }
            state.count += 1
            if state.isClosing { sleep.cancel() } else { state.pauses[state.count] = sleep }
            return (state.count, sleep)
        }
        defer { state.withLock { _ = $0.pauses.removeValue(forKey: number) } }
        return await withTaskCancellationHandler {
            // It throws only where it is cancelled.
            (try? await sleep.value) != nil
        } onCancel: {
            sleep.cancel()
        }
    }

    private func close(patience: Duration) {
        let pauses = state.withLock { state in
            state.isClosing = true
            return state.pauses.values.map(\.self)
        }
        for pause in pauses { pause.cancel() }
        endIfIdle()
        guard patience > .zero else { return cancelAll() }
        Task {
            try await Task.sleep(for: patience)
            cancelAll()
        }
    }

    private func cancelAll() { for task in state.withLock({ Array($0.running.values) }) { task.cancel() } }

    private func ended(_ number: Int) {
        state.withLock { $0.running[number] = nil }
        endIfIdle()
    }

    private func endIfIdle() {
        let hasEnded = state.withLock { state in
            if state.isClosing, state.running.isEmpty { state.hasEnded = true }
            return state.hasEnded
        }
        if hasEnded { isOver.open() }
    }
}
