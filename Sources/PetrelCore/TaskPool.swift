import ServiceLifecycle

/// Runs closures as child tasks of one service, so that nothing outlives the process's orderly end.
package final class TaskPool: Service {
    package typealias Job = @Sendable () async -> Void

    private let jobs: AsyncStream<Job>
    private let continuation: AsyncStream<Job>.Continuation

    package init() {
        (jobs, continuation) = AsyncStream.makeStream()
    }

    /// Starts a closure. After ``close()`` it is dropped.
    package func spawn(_ job: @escaping Job) { continuation.yield(job) }

    /// Takes nothing more; ``run()`` returns once what runs has ended.
    package func close() { continuation.finish() }

    package func run() async throws {
        await withDiscardingTaskGroup { group in
            for await job in jobs { group.addTask { await job() } }
        }
    }
}
