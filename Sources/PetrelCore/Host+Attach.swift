import Logging
package import PetrelKit
package import PetrelSupport

extension Host {
    /// The services that run the modules and the backends of a host.
    package struct Attached: Sendable {
        /// The services of the modules.
        package let modules: [ModuleService]
        /// The service of the backends, which connect once the modules are ready.
        package let backends: BackendsService
        /// The signals that open when the modules are ready.
        package let readiness: [Signal]
        /// The web routes of the modules and the backends.
        package let routes: [WebRoute]
    }

    /// Connects modules and backends with each other: publishes commands, collects status reporters, gauges and web
    /// routes, and provides the optional capabilities of backends with their closures.
    /// - Parameters:
    ///   - executor: the executor on which messages are read; nil for Swift's default executor.
    ///   - ended: a signal that is opened when every backend has reached the end of its input; see ``BackendsService``.
    ///   - patience: the time after which backends connect even if a module is not ready.
    ///   - storage: returns the storage for a backend of that name.
    package func attach(
        _ modules: [any BotModule], to backends: [any ChatBackend], on executor: (any TaskExecutor)? = nil,
        ended: Signal? = nil, patience: Duration = BackendsService.patience, storage: (_ space: String) -> any Storage
    ) -> Attached {
        let connections = backends.map { backend in
            BackendService(backend, logger: logger) { [self] in await deliver($0, from: backend.name) }
        }
        for connection in connections { report(connection) }
        for backend in backends { equip(backend, storage) }
        add(modules)
        let services = modules.map { module in
            registry.publish(module.commands, from: module.name)
            if let reporter = module as? any StatusReporting { report(reporter) }
            return ModuleService(module, readiness: readiness(of: module.name), logger: logger)
        }
        let parts: [any Sendable] = modules + backends
        for case let backend as any WorkCounting in backends { count(backend) }
        for case let part as any GaugeReporting in parts { measure(part) }
        let gates = readiness
        return Attached(
            modules: services,
            backends: BackendsService(connections, after: gates, patience: patience, on: executor, ended: ended),
            readiness: gates, routes: parts.compactMap { $0 as? any WebRoutes }.flatMap(\.routes))
    }

    /// The signals that open when the modules are ready.
    private var readiness: [Signal] { modules.map { readiness(of: $0.name) } }

    /// Waits until the modules are ready, for a limited time.
    package func waitForModules(atMost limit: Duration) async { await Signal.wait(for: readiness, atMost: limit) }

    private func equip(_ backend: any ChatBackend, _ storage: (_ space: String) -> any Storage) {
        if let backend = backend as? any Selecting {
            backend.select { [dispatcher] in dispatcher.isMeant(&$0) }
        }
        if let backend = backend as? any RecordKeeping { backend.keep(in: storage("backend \(backend.name)")) }
        if let backend = backend as? any Completing {
            backend.complete(from: { [registry] in registry.table.lines }, prefix: prefix) { [dispatcher] in
                dispatcher.holdsSecrets($0)
            }
        }
    }
}

extension CommandTable {
    /// All lines that can be typed, without the prefix.
    fileprivate var lines: [String] {
        entries.flatMap { entry in
            (entry.command.name.isEmpty ? [] : [entry.command.name]) + (entry.command.lines?() ?? [])
        }
    }
}
