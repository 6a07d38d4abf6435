import PetrelKit
package import PetrelSupport
import ServiceLifecycle

/// All backends, side by side. Returns when every one of them is at the end of its input.
package final class BackendsService: Service {
    private let services: [BackendService]
    private let prepared: [Signal]
    private let executor: (any TaskExecutor)?
    private let ended: Signal?
    /// People may be let in before a module is prepared, after this long.
    private static let patience = Duration.seconds(5)

    /// - Parameters:
    ///   - executor: where messages are read; nil: on Swift's own threads.
    ///   - ended: opened when every backend is at the end of its input: it has to bring about the orderly end.
    package init(
        _ services: [BackendService], after prepared: [Signal], on executor: (any TaskExecutor)? = nil,
        ended: Signal? = nil
    ) {
        self.ended = ended
        self.services = services
        self.prepared = prepared
        self.executor = executor
    }

    /// Throws when every backend has failed for good.
    package func run() async throws {
        await cancelWhenGracefulShutdown { await Signal.wait(for: self.prepared, atMost: Self.patience) }
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
        // A service that returns before its turn would break the orderly end. Only cancellation ends the wait early.
        try? await gracefulShutdown()
    }
}
