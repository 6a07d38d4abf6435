import PetrelKit
package import PetrelSupport
import ServiceLifecycle

/// A service that runs all backends concurrently.
package final class BackendsService: Service {
    private let services: [BackendService]
    private let prepared: [Signal]
    private let executor: (any TaskExecutor)?
    private let ended: Signal?
    private let patience: Duration
    /// The usual time after which backends connect even if a module is not ready.
    package static let patience = Duration.seconds(5)

    /// Creates a service.
    /// - Parameters:
    ///   - prepared: the signals of modules that backends wait for, for a limited time.
    ///   - patience: the time after which backends connect even if a module is not ready.
    ///   - executor: the executor on which messages are read; nil for Swift's default executor.
    ///   - ended: a signal that is opened when every backend has reached the end of its input. Opening it must trigger
    ///     the shutdown.
    package init(
        _ services: [BackendService], after prepared: [Signal], patience: Duration = patience,
        on executor: (any TaskExecutor)? = nil,
        ended: Signal? = nil
    ) {
        self.ended = ended
        self.services = services
        self.prepared = prepared
        self.patience = patience
        self.executor = executor
    }

    /// Runs the backends. Throws if all of them have failed permanently.
    package func run() async throws {
        await cancelWhenGracefulShutdown { await Signal.wait(for: self.prepared, atMost: self.patience) }
        await withDiscardingTaskGroup { group in
            for service in services { group.addTask(executorPreference: executor) { await service.connect() } }
        }
        let failures = services.compactMap { service in
            if case .failed(let reason) = service.currentState { "\(service.backend.name): \(reason)" } else { nil }
        }
        if failures.count == services.count, !services.isEmpty {
            throw BackendFailure("all backends have failed: \(failures.joined(separator: "; "))", isFinal: true)
        }
        guard let ended else { return }
        ended.open()
        // A service that returns before its turn would break the order of the shutdown. Only cancellation throws here.
        try? await gracefulShutdown()
    }
}
