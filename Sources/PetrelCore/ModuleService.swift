package import Logging
package import PetrelKit
import ServiceLifecycle

/// Prepares a module, then keeps it running. Its failure stays its own.
package final class ModuleService<Access: ModuleHost>: Service {
    private let module: any BotModule
    private let access: Access
    private let logger: Logger
    private let prepared: Gate

    package init(_ module: any BotModule, access: Access, logger: Logger, prepared: Gate) {
        self.module = module
        self.access = access
        self.logger = logger
        self.prepared = prepared
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown { await self.keepRunning() }
    }

    private func keepRunning() async {
        await (module as? any Preparing)?.prepare(access)
        prepared.open()
        var policy = ReconnectPolicy()
        var random = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            do {
                return try await module.run(access)
            } catch {
                if Task.isCancelled { return }
                let pause = policy.pause(using: &random)
                logger.error("The module \(module.name) failed: \(error). It starts again in \(pause).")
                // Only cancellation ends a sleep early, and the loop looks for it.
                try? await Task.sleep(for: pause)
            }
        }
    }
}

/// Something to wait for that happens once.
package final class Gate: Sendable {
    private let stream: AsyncStream<Never>
    private let continuation: AsyncStream<Never>.Continuation

    package init() {
        (stream, continuation) = AsyncStream.makeStream()
    }

    package func open() { continuation.finish() }

    package func wait() async {
        for await _ in stream {}
    }

    /// Waits for all of them, at most so long.
    package static func wait(for gates: [Gate], atMost limit: Duration) async {
        await withTaskGroup { group in
            group.addTask { for gate in gates { await gate.wait() } }
            // Cancelled as soon as the gates are open.
            group.addTask { try? await Task.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
    }
}
