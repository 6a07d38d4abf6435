import Foundation
package import Logging
package import PetrelKit
import PetrelSupport
import ServiceLifecycle

/// Keeps one backend connected. Its failure stays its own.
package final class BackendService: StatusReporting {
    package enum State: Sendable, Equatable {
        case running
        case waiting(reason: String)
        case failed(reason: String)
        case finished
    }

    package let backend: any ChatBackend
    private let deliver: @Sendable (ChatMessage) async -> Void
    private let logger: Logger
    private let clock: any Clock<Duration>
    private let state = Locked(State.running)
    /// A connection that lasted this long was a good one.
    private static let goodConnection = Duration.seconds(30)

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

    /// Returns when the backend has nothing more to read or has failed for good.
    package func connect() async {
        await cancelWhenGracefulShutdown { await self.keepConnected() }
    }

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
                    "The backend lost its connection: \(error). The next attempt is in \(pause.formatted(.units(allowed: [.seconds], fractionalPart: .show(length: 1))))."
                )
                // Only cancellation ends a sleep early, and the loop looks for it.
                try? await clock.sleep(for: pause)
            }
        }
    }

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
