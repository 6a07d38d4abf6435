import Foundation
package import Logging
package import PetrelKit
import PetrelSupport
import ServiceLifecycle

/// A service that keeps one backend connected. A failure does not affect other backends.
package final class BackendService: StatusReporting {
    /// The state of a connection.
    package enum State: Sendable, Equatable {
        /// The backend runs.
        case running
        /// The connection was lost, and will be retried.
        case waiting(reason: String)
        /// The backend failed and is not retried.
        case failed(reason: String)
        /// The backend has reached the end of its input.
        case finished
    }

    /// The backend.
    package let backend: any ChatBackend
    private let deliver: @Sendable (ChatMessage) async -> Void
    private let logger: Logger
    private let clock: any Clock<Duration>
    private let state = Locked(State.running)
    /// The duration after which a connection counts as successful, so that the delay before the next one is reset.
    private static let goodConnection = Duration.seconds(30)

    /// Creates a service.
    package init(
        _ backend: any ChatBackend, logger: Logger, clock: any Clock<Duration> = ContinuousClock(),
        deliver: @escaping @Sendable (ChatMessage) async -> Void
    ) {
        self.backend = backend
        self.deliver = deliver
        self.clock = clock
        var logger = logger
        logger[metadataKey: "backend"] = "\(backend.name)"
        self.logger = logger
    }

    /// Runs the backend, and reconnects it, until it ends, fails permanently, or shutdown begins.
    package func connect() async {
        await cancelWhenGracefulShutdown { await self.keepConnected() }
    }

    /// The state of the connection.
    package var currentState: State { state.value }

    private func keepConnected() async {
        var policy = Backoff()
        var random = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            state.withLock { $0 = .running }
            let started = ContinuousClock.now
            do {
                try await backend.run(deliver: deliver)
                state.withLock { $0 = .finished }
                return
            } catch is CancellationError where Task.isCancelled {
                return
            } catch let failure as BackendFailure where failure.isFinal {
                state.withLock { $0 = .failed(reason: failure.message) }
                logger.error("The backend failed and will not reconnect: \(failure.message)")
                return
            } catch {
                if Task.isCancelled { return }
                if ContinuousClock.now - started >= Self.goodConnection { policy.succeeded() }
                let pause = policy.pause(using: &random)
                state.withLock { $0 = .waiting(reason: "\(error)") }
                logger.warning(
                    "The backend lost its connection: \(error). The next attempt is in \(pause.inSeconds)."
                )
                // Sleeping fails only if the task is cancelled, which the loop checks.
                try? await clock.sleep(for: pause)
            }
        }
    }

    /// Returns the status of the backend.
    package func status() -> [StatusLine] {
        let subject = "backend \(backend.name)"
        return switch state.value {
        case .running:
            [StatusLine(subject, isHealthy: true, "running")] + ((backend as? any StatusReporting)?.status() ?? [])
        case .finished: [StatusLine(subject, isHealthy: true, "end of input")]
        case .waiting(let reason): [StatusLine(subject, isHealthy: false, "reconnecting: \(reason)")]
        case .failed(let reason): [StatusLine(subject, isHealthy: false, reason)]
        }
    }
}
