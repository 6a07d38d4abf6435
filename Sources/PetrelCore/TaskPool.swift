import PetrelKit
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

    private func close(patience: Duration) {
        state.withLock { $0.isClosing = true }
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
