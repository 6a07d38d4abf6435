import Foundation
package import Logging
package import PetrelKit
import PetrelSupport
import ServiceLifecycle

/// Keeps a module running. Its failure stays its own.
package final class ModuleService<Access: ModuleHost>: Service {
    private let module: any BotModule
    private let access: Access
    private let logger: Logger

    package init(_ module: any BotModule, access: Access, logger: Logger) {
        self.module = module
        self.access = access
        self.logger = logger
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown { await self.keepRunning() }
        // Some modules have nothing to run, and a service that returns before its turn would break the orderly end.
        try? await gracefulShutdown()
    }

    private func keepRunning() async {
        if !module.preparesItself { access.ready() }
        var policy = Backoff()
        var random = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            do {
                return try await module.run(access)
            } catch {
                if Task.isCancelled { return }
                let pause = policy.pause(using: &random)
                logger.error(
                    "The module \(module.name) failed: \(error). It starts again in \(pause.formatted(.units(allowed: [.seconds], fractionalPart: .show(length: 1))))."
                )
                // Only cancellation ends a sleep early, and the loop looks for it.
                try? await Task.sleep(for: pause)
            }
        }
    }
}
