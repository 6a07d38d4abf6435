import CoreMetrics
public import Logging
package import PetrelCore
public import PetrelKit
import PetrelStore
import PetrelSupport

/// The real host around recording backends, for the length of a test.
public final class TestHost: Sendable {
    package let host: Host
    private let backends: [any ChatBackend]
    private let store: TestStore
    private let logger: Logger
    /// What was done, as it happens.
    public let audit = MemoryAudit()

    public convenience init(
        _ backends: [any ChatBackend], admins: Set<String> = [], store: TestStore? = nil, logger: Logger? = nil
    ) throws {
        try self.init(
            backends, policy: Dispatcher.Policy(access: AccessControl(admins: admins)), store: store, logger: logger)
    }

    package init(
        _ backends: [any ChatBackend], policy: Dispatcher.Policy, store: TestStore? = nil, logger: Logger? = nil,
        adminRooms: [String] = [], defaultBackend: String? = nil, delivery: Delivery.Limits = Delivery.Limits()
    ) throws {
        self.backends = backends
        let store = try store ?? TestStore()
        self.store = store
        let logger = logger ?? Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        self.logger = logger
        store.store.tell(logger)
        host = try Host(
            backends: backends, policy: policy, version: "test", logger: logger, metrics: NOOPMetricsHandler.instance,
            audit: audit, outbox: store.store.outbox, adminRooms: adminRooms, defaultBackend: defaultBackend,
            delivery: delivery)
    }

    /// What a module is handed.
    public func access(for module: String) -> some ModuleHost {
        host.access(for: module, storage: store.storage(for: module))
    }

    /// Prepares and runs modules and backends until the body returns.
    public func run<Value: Sendable>(
        _ modules: [any BotModule], _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        await host.restorePlaces(from: store.storage(for: "host"))
        for module in modules { access(for: module.name).publish(module.commands) }
        for case let reporter as any StatusReporting in modules { host.report(reporter) }
        for case let backend as any Selecting in backends {
            backend.select { [dispatcher = host.dispatcher] in dispatcher.isMeant($0) }
        }
        for case let backend as any RecordKeeping in backends {
            backend.keep(in: store.storage(for: "backend \(backend.name)"))
        }
        let value = try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.host.pool.run() }
            var gates: [Signal] = []
            for module in modules {
                let gate = Signal()
                gates.append(gate)
                let access = host.access(
                    for: module.name, storage: store.storage(for: module.name), readiness: gate)
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
        // Another host may go on with the same store.
        await store.store.written()
        return value
    }
}
