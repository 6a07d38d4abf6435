import CoreMetrics
public import Logging
package import PetrelCore
public import PetrelKit

/// The real host around recording backends, for the length of a test.
public final class TestHost: Sendable {
    package let host: Host
    private let backends: [any ChatBackend]
    private let storage: any Storage
    private let logger: Logger
    /// What was done, as it happens.
    public let audit = MemoryAudit()

    public convenience init(
        _ backends: [any ChatBackend], admins: Set<String> = [], storage: any Storage = MemoryStorage(),
        logger: Logger? = nil
    ) {
        self.init(
            backends, policy: Dispatcher.Policy(access: AccessControl(admins: admins)), storage: storage,
            logger: logger)
    }

    package init(
        _ backends: [any ChatBackend], policy: Dispatcher.Policy, storage: any Storage = MemoryStorage(),
        logger: Logger? = nil
    ) {
        self.backends = backends
        self.storage = storage
        let logger = logger ?? Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        self.logger = logger
        host = Host(
            backends: backends, policy: policy, version: "test", logger: logger, metrics: NOOPMetricsHandler.instance,
            audit: audit)
    }

    /// What a module is handed.
    public func access(for module: String) -> some ModuleHost { host.access(for: module, storage: storage) }

    /// Prepares and runs modules and backends until the body returns.
    public func run<Value: Sendable>(
        _ modules: [any BotModule], _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        for module in modules { host.access(for: module.name, storage: storage).publish(module.commands) }
        for case let reporter as any StatusReporting in modules { host.report(reporter) }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.host.pool.run() }
            var gates: [Signal] = []
            for module in modules {
                let gate = Signal()
                gates.append(gate)
                let access = host.access(for: module.name, storage: storage, readiness: gate)
                let service = ModuleService(module, access: access, logger: logger)
                group.addTask { try await service.run() }
            }
            for gate in gates { await gate.wait() }
            for backend in backends {
                let service = BackendService(backend, logger: logger) { [host] in
                    host.receive($0, from: backend.name)
                }
                group.addTask { await service.connect() }
            }
            defer { group.cancelAll() }
            return try await body()
        }
    }
}
