import Foundation
package import Logging
package import PetrelKit
package import PetrelSupport
import ServiceLifecycle

/// A service that keeps a module running. A failure does not affect other modules.
package final class ModuleService: Service {
    private let module: any BotModule
    private let readiness: Signal
    private let logger: Logger
    private let clock: any Clock<Duration>
    /// The duration of a run after which the module counts as working, so that the delay before the next run is reset.
    private static let goodRun = Duration.seconds(30)

    /// Creates a service.
    /// - Parameter readiness: the signal that is opened at the start if the module does not prepare itself.
    package init(
        _ module: any BotModule, readiness: Signal, logger: Logger, clock: any Clock<Duration> = ContinuousClock()
    ) {
        self.clock = clock
        self.module = module
        self.readiness = readiness
        self.logger = logger
    }

    /// Runs the module until shutdown.
    package func run() async throws {
        await cancelWhenGracefulShutdown { await self.keepRunning() }
        // Some modules return at once, and a service that returns before its turn would break the order of the
        // shutdown.
        try? await gracefulShutdown()
    }

    private func keepRunning() async {
        if !module.preparesItself { readiness.open() }
        var policy = Backoff()
        var random = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            var failure: (any Error)?
            let duration = await clock.measure {
                do { try await module.run() } catch { failure = error }
            }
            guard let failure, !Task.isCancelled else { return }
            if duration >= Self.goodRun { policy.succeeded() }
            let pause = policy.pause(using: &random)
            logger.error(
                "The module \(module.name) failed: \(failure). It restarts in \(pause.inSeconds)."
            )
            // Sleeping fails only if the task is cancelled, which the loop checks.
            try? await clock.sleep(for: pause)
        }
    }
}
