import BuiltinsModule
import CoreMetrics
import Logging
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelWeb
import ServiceLifecycle
import StackStormModule
import TextBackend
import UnixSignals

/// The whole of Petrel, built of its settings, ready to run.
struct PetrelApp: Sendable {
    static let version = "0.1.0"

    let group: ServiceGroup
    let host: Host

    /// - Parameters:
    ///   - store: opened by the caller, who knows whether it is to last.
    ///   - listening: called with the port of the web server once it takes connections.
    static func build(
        _ configuration: Configuration, store: Store, log: LineLogHandler.Control,
        reload: (@Sendable (Host) -> Void)? = nil, listening: @escaping @Sendable (Int) -> Void = { _ in }
    ) throws -> PetrelApp {
        let logger = Logger(label: "petrel") { LineLogHandler(label: $0, control: log) }
        let metrics = PrometheusMetrics(help: Help.metrics)
        let backends = try configuration.backends.map { try $0.make(logger) }
        if let write = backends.lazy.compactMap({ ($0 as? TextBackend)?.logWriter }).first { log.redirect(to: write) }
        let core = configuration.core
        let host = Host(
            backends: backends, policy: Dispatcher.Policy(prefixes: core.prefixes, access: core.access),
            name: core.name, version: version, logger: logger, metrics: metrics)
        let calls = CallMeters(metrics)
        let stackStorms = try configuration.stackStorms.map { settings in
            try StackStormModule(settings, logger: logger) { calls.note($0, $1) }
        }
        let modules: [any BotModule] = [BuiltinsModule(overview: host)] + stackStorms
        let deliver = host.dispatcher
        let connections = backends.map { backend in
            BackendService(backend, logger: logger) { deliver.receive($0, from: backend.name) }
        }
        for reporter in connections { host.report(reporter) }
        for case let reporter as any StatusReporting in modules { host.report(reporter) }
        for case let backend as any Completing in backends {
            backend.complete(from: { host.registry.table.lines }, prefix: core.prefixes.prefix)
        }

        var services: [ServiceGroupConfiguration.ServiceConfiguration] = [.init(service: host.pool)]
        var gates: [Signal] = []
        for module in modules {
            let gate = Signal()
            gates.append(gate)
            let access = host.access(
                for: module.name, storage: store.storage(for: module.name), readiness: gate)
            access.publish(module.commands)
            services.append(
                .init(
                    service: ModuleService(module, access: access, logger: logger),
                    successTerminationBehavior: .ignore))
        }
        services.append(
            .init(
                service: BackendsService(connections, after: gates),
                successTerminationBehavior: .gracefullyShutdownGroup,
                failureTerminationBehavior: .gracefullyShutdownGroup))
        if let web = core.web {
            let first = stackStorms.first
            let access = host.access(for: first?.name ?? "web", storage: store.storage(for: "web"))
            let health = HealthRoutes(overview: host) {
                Gauges.update(metrics, host: host, reporters: modules.compactMap { $0 as? any GaugeReporting })
                return metrics.render()
            }
            let routes = health.routes + ChatopsWebhook(host: access, secret: web.webhookSecret).routes
            let tls = web.certificate.flatMap { certificate in web.key.map { (certificate, $0) } }
            services.append(
                .init(
                    service: WebServer(
                        WebServer.Settings(host: web.host, port: web.port, tls: tls), routes: routes, logger: logger,
                        listening: { port in
                            logger.info("The web server listens on \(web.host) port \(port).")
                            listening(port)
                        }),
                    failureTerminationBehavior: .gracefullyShutdownGroup))
        }
        if let reload { services.append(.init(service: HangupService { reload(host) })) }
        var group = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: .silent)
        group.maximumGracefulShutdownDuration = .seconds(8)
        return PetrelApp(group: ServiceGroup(configuration: group), host: host)
    }

    func run() async throws { try await group.run() }
}

extension CommandTable {
    /// Everything that may be typed, without the prefix.
    fileprivate var lines: [String] {
        entries.flatMap { entry in
            (entry.command.name.isEmpty ? [] : [entry.command.name]) + (entry.command.lines?() ?? [])
        }
    }
}

extension Logger {
    /// For libraries whose news are said in our own words, or are none.
    static let silent = Logger(label: "silent") { _ in SwiftLogNoOpLogHandler() }
}
