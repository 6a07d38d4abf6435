import PetrelKit
import ServiceLifecycle

/// Runs closures as child tasks of one service, so that nothing outlives the process's orderly end.
package final class TaskPool: Service {
    package typealias Job = @Sendable () async -> Void

    private let jobs: AsyncStream<Job>
    private let continuation: AsyncStream<Job>.Continuation
    private let state = Locked((active: 0, isClosing: false))

    package init() {
        (jobs, continuation) = AsyncStream.makeStream()
    }

    /// Starts a closure.
    package func spawn(_ job: @escaping Job) {
        state.withLock { $0.active += 1 }
        continuation.yield(job)
    }

    /// ``run()`` returns once what runs, and what that still starts, has ended.
    package func close() {
        let isIdle = state.withLock { state in
            state.isClosing = true
            return state.active == 0
        }
        if isIdle { continuation.finish() }
    }

    package func run() async throws {
        await withGracefulShutdownHandler {
            await withDiscardingTaskGroup { group in
                for await job in jobs {
                    group.addTask {
                        await job()
                        self.ended()
                    }
                }
            }
        } onGracefulShutdown: {
            self.close()
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
