package import CoreMetrics
public import Logging
package import PetrelCore
public import PetrelKit
import PetrelStore
import PetrelSupport

/// The host of the bot, with modules and backends of a test.
public final class TestHost: Sendable {
    package let host: Host
    private let backends: [any ChatBackend]
    private let store: TestStore
    private let logger: Logger
    private let routes = Locked<[WebRoute]>([])
    /// The settings from which the policy is made; nil for the policy of the initializer.
    private let settings: CoreSettings?
    /// The audit log.
    public let audit = MemoryAudit()

    /// Creates a host without access rules. Without a store it uses a new one in memory, and without a logger it logs
    /// nothing.
    public convenience init(
        _ backends: [any ChatBackend], admins: Set<String> = [], store: TestStore? = nil, logger: Logger? = nil
    ) throws {
        try self.init(
            backends, policy: Dispatcher.Policy(access: AccessControl(admins: admins)), store: store, logger: logger)
    }

    /// Creates a host with a policy and limits.
    package init(
        _ backends: [any ChatBackend], policy: Dispatcher.Policy, settings: CoreSettings? = nil,
        store: TestStore? = nil, logger: Logger? = nil,
        adminRooms: [String] = [], defaultBackend: String? = nil, delivery: Delivery.Limits = .unhurried,
        limits: FairQueueLimits = FairQueueLimits(), executor: (any TaskExecutor)? = nil,
        metrics: any MetricsFactory = NOOPMetricsHandler.instance
    ) throws {
        self.backends = backends
        self.settings = settings
        let store = try store ?? TestStore()
        self.store = store
        let logger = logger ?? Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        self.logger = logger
        store.store.tell(logger)
        host = try Host(
            backends: backends, policy: policy, name: settings?.name ?? "petrel", version: "test", logger: logger,
            metrics: metrics, audit: audit,
            outbox: store.store.outbox, adminRooms: adminRooms, defaultBackend: defaultBackend,
            limits: limits, executor: executor, delivery: delivery)
    }

    /// Returns the interfaces for a module.
    public func access(for module: String) -> ModuleHost {
        host.access(for: module, storage: store.storage(for: module))
    }

    /// Creates modules, and runs them and the backends until the body returns.
    public func run<Value: Sendable>(
        _ modules: (TestHost) throws -> [any BotModule], _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        try await run(try modules(self), body)
    }

    /// Runs modules, waits until they are ready, and runs the backends until the body returns. Throws
    /// ``ConformanceFailure`` if a module does not become ready within ``RecordingBackend/patience``.
    public func run<Value: Sendable>(
        _ modules: [any BotModule], _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        if let settings { host.dispatcher.update(settings.policy(modules: Set(modules.map(\.name)))) }
        await host.restorePlaces(from: store.storage(for: "host"))
        let attached = host.attach(modules, to: backends) { store.storage(for: $0) }
        routes.withLock { $0 = attached.routes }
        let value = try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.host.pool.run() }
            for service in attached.modules { group.addTask { try await service.run() } }
            for (module, gate) in zip(modules, attached.readiness) { try await Self.wait(for: gate, of: module) }
            group.addTask { try await attached.backends.run() }
            defer { group.cancelAll() }
            return try await body()
        }
        // Another host may continue with the same store.
        await store.store.written()
        return value
    }

    private static func wait(for gate: Signal, of module: any BotModule) async throws {
        await Signal.wait(for: gate, atMost: RecordingBackend.patience)
        try Task.checkCancellation()
        guard gate.isOpen else {
            throw ConformanceFailure(
                expected: "the module “\(module.name)” to call `commands.ready()` of the host for this name",
                got: "no call within \(RecordingBackend.patience.inWords)")
        }
    }
}

extension Delivery.Limits {
    /// Limits for tests that compare texts: messages that are late because the machine is slow are not marked as late.
    package static let unhurried = {
        var limits = Delivery.Limits()
        limits.late = .seconds(86_400)
        return limits
    }()
}

extension TestHost {
    /// Sends a request to a route of a running module or backend, as the web server does. The response has the status
    /// 404 if no route has this method and path.
    public func request(
        _ method: WebRoute.Method, _ path: String, _ request: WebRequest = WebRequest()
    ) async -> WebResponse {
        let found = routes.value.lazy.compactMap { route in
            route.method == method ? route.parameters(of: path).map { (route, $0) } : nil
        }.first
        guard let (route, parameters) = found else { return WebResponse(status: 404) }
        var request = request
        request.parameters = parameters
        if let refusal = route.refusal(request) { return refusal }
        guard request.body.count <= route.bodyLimit else { return WebResponse(status: 413) }
        return await route.handler(request)
    }

    /// Returns the current gauges of the bot, and of the running modules and backends, as `/metrics` reports them.
    public func gauges() -> [(name: String, labels: [(String, String)], value: Double)] { host.gauges() }
}
