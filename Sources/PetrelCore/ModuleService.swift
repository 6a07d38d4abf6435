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

    /// Creates a service.
    /// - Parameter readiness: the signal that is opened at the start if the module does not prepare itself.
    package init(_ module: any BotModule, readiness: Signal, logger: Logger) {
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
            do {
                return try await module.run()
            } catch {
                if Task.isCancelled { return }
                let pause = policy.pause(using: &random)
                logger.error(
                    "The module \(module.name) failed: \(error). It restarts in \(pause.formatted(.units(allowed: [.seconds], fractionalPart: .show(length: 1))))."
                )
                // Sleeping fails only if the task is cancelled, which the loop checks.
                try? await Task.sleep(for: pause)
            }
        }
    }
}
