import Foundation
package import Logging
package import PetrelKit
package import PetrelSupport
import ServiceLifecycle

/// Keeps a module running. Its failure stays its own.
package final class ModuleService: Service {
    private let module: any BotModule
    private let readiness: Signal
    private let logger: Logger

    /// - Parameter readiness: opened at the start for a module that does not prepare itself.
    package init(_ module: any BotModule, readiness: Signal, logger: Logger) {
        self.module = module
        self.readiness = readiness
        self.logger = logger
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown { await self.keepRunning() }
        // Some modules have nothing to run, and a service that returns before its turn would break the orderly end.
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
                // Only cancellation ends a sleep early, and the loop looks for it.
                try? await Task.sleep(for: pause)
            }
        }
    }
}
