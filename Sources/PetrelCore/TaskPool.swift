import PetrelKit
import PetrelSupport
import ServiceLifecycle

/// A service that runs closures as tasks, and waits for them at shutdown.
///
/// During the shutdown, running jobs may finish, and may start further jobs, such as the delivery of a reply. Jobs that
/// take longer than ``patience`` are cancelled.
package final class TaskPool: Service {
    /// A closure that runs as a task.
    package typealias Job = @Sendable () async -> Void

    private struct State {
        var running: [Int: Task<Void, Never>] = [:]
        /// The jobs that were started before the service ran.
        var early: [(TaskHandle?, Job)] = []
        var count = 0
        /// The pauses of jobs that wait to retry.
        var pauses: [Int: Task<Void, any Error>] = [:]
        var isRunning = false
        var isClosing = false
        var hasEnded = false
    }

    /// The time for which running jobs may continue during the shutdown. Service managers kill a process after ten
    /// seconds or more.
    private static let patience = Duration.seconds(5)

    private let executor: (any TaskExecutor)?
    private let state = Locked(State())
    private let isOver = Signal()

    /// Creates a pool.
    /// - Parameter executor: the executor of the tasks; nil for Swift's default executor.
    package init(on executor: (any TaskExecutor)? = nil) {
        self.executor = executor
    }

    /// Starts a job. After the shutdown it does nothing.
    /// - Parameter handle: The handle to cancel the job, or nil.
    package func spawn(_ handle: TaskHandle? = nil, _ job: @escaping Job) {
        state.withLock { state in
            guard !state.hasEnded else { return }
            guard state.isRunning else { return state.early.append((handle, job)) }
            // The task cannot end before it is in the dictionary, because that requires the lock.
            state.count += 1
            let number = state.count
            let task = Task(executorPreference: executor) {
                await job()
                self.ended(number)
            }
            state.running[number] = task
            handle?.hold(task)
        }
    }

    /// Runs the jobs until the shutdown is complete.
    package func run() async throws {
        let early = state.withLock { state in
            defer { state.early = [] }
            state.isRunning = true
            return state.early
        }
        for (handle, job) in early { spawn(handle, job) }
        await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                // In a separate task, because the wait must survive the cancellation of this one.
                await Task { await self.isOver.wait() }.value
            } onGracefulShutdown: {
                self.close(patience: Self.patience)
            }
        } onCancel: {
            close(patience: .zero)
        }
    }

    /// Ends the pauses of all jobs, which then retry.
    func endPauses() { for pause in state.withLock({ Array($0.pauses.values) }) { pause.cancel() } }

    /// Pauses a job before a retry. Returns false if the shutdown has begun, so that the job should end.
    func pause(for duration: Duration, on clock: any Clock<Duration>) async -> Bool {
        let (number, sleep) = state.withLock { state in
            let sleep = Task { try await clock.sleep(for: duration) }
            state.count += 1
            if state.isClosing { sleep.cancel() } else { state.pauses[state.count] = sleep }
            return (state.count, sleep)
        }
        defer { state.withLock { _ = $0.pauses.removeValue(forKey: number) } }
        await withTaskCancellationHandler {
            // Sleeping fails only if it is cancelled: by the shutdown, with this task, or to retry at once.
            _ = try? await sleep.value
        } onCancel: {
            sleep.cancel()
        }
        return !state.withLock { $0.isClosing } && !Task.isCancelled
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
