import PetrelKit
import ServiceLifecycle

/// Runs closures as child tasks of one service, so that nothing outlives the process's orderly end.
///
/// At the end, what runs may finish, and may start what it needs for that, such as the delivery of its reply. What
/// takes longer than ``patience`` is cancelled, and then finishes.
package final class TaskPool: Service {
    package typealias Job = @Sendable () async -> Void

    private enum Order {
        case run(Job)
        case cancelAll
    }

    /// Well below the ten seconds in which the process has to be gone.
    private static let patience = Duration.seconds(5)

    private let orders: AsyncStream<Order>
    private let continuation: AsyncStream<Order>.Continuation
    private let state = Locked((active: 0, isClosing: false))

    package init() {
        (orders, continuation) = AsyncStream.makeStream()
    }

    /// Starts a closure.
    package func spawn(_ job: @escaping Job) {
        state.withLock { $0.active += 1 }
        continuation.yield(.run(job))
    }

    package func run() async throws {
        // Not a child: a cancelled parent would stop taking jobs that others wait for.
        let worker = Task { await self.work() }
        await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                await worker.value
            } onGracefulShutdown: {
                self.close(patience: Self.patience)
            }
        } onCancel: {
            close(patience: .zero)
        }
    }

    private func work() async {
        await withDiscardingTaskGroup { group in
            for await order in orders {
                switch order {
                case .cancelAll: group.cancelAll()
                case .run(let job):
                    group.addTask {
                        await job()
                        self.ended()
                    }
                }
            }
        }
    }

    private func close(patience: Duration) {
        let isIdle = state.withLock { state in
            state.isClosing = true
            return state.active == 0
        }
        guard !isIdle else { return continuation.finish() }
        Task { [continuation] in
            try await Task.sleep(for: patience)
            continuation.yield(.cancelAll)
        }
    }

    private func ended() {
        let isOver = state.withLock { state in
            state.active -= 1
            return state.isClosing && state.active == 0
        }
        if isOver { continuation.finish() }
    }
}
