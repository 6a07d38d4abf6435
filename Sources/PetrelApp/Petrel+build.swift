import BuiltinsModule
import CoreMetrics
import Logging
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport
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
    let store: Store
    /// Opened when every backend is at the end of its input.
    let ended: Signal

    /// - Parameters:
    ///   - store: opened by the caller, who knows whether it is to last.
    ///   - listening: called with the port of the web server once it takes connections.
    static func build(
        _ configuration: Configuration, store: Store, log: LineLogHandler.Control,
        on loop: EventLoopExecutor = EventLoopExecutor(),
        logins: OneTimeLogins = OneTimeLogins(), reload: (@Sendable (Host) -> Void)? = nil,
        listening: @escaping @Sendable (Int) -> Void = { _ in }
    ) throws -> PetrelApp {
        let logger = Logger(label: "petrel") { LineLogHandler(label: $0, control: log) }
        let metrics = PrometheusMetrics(help: Help.metrics)
        let backends = try configuration.backends.map { try $0.make(logger, loop) }
        if let write = backends.lazy.compactMap({ ($0 as? TextBackend)?.logWriter }).first { log.redirect(to: write) }
        let core = configuration.core
        let audit = store.audit
        audit.limit(to: core.store.auditBytes)
        store.tell(logger)
        let host = try Host(
            backends: backends, policy: configuration.policy, name: core.name, version: version, logger: logger,
            metrics: metrics, audit: audit, outbox: store.outbox, adminRooms: core.adminRooms,
            defaultBackend: configuration.defaultBackend,
            executor: loop)
        let calls = CallMeters(metrics)
        let stackStorms = try configuration.stackStorms.map { settings in
            try StackStormModule(settings, on: loop, logger: logger, logins: logins, observer: { calls.note($0, $1) })
        }
        let modules: [any BotModule] = [BuiltinsModule(overview: host, audit: audit)] + stackStorms
        let connections = backends.map { backend in
            BackendService(backend, logger: logger) { host.receive($0, from: backend.name) }
        }
        for reporter in connections { host.report(reporter) }
        host.report(store)
        for case let reporter as any StatusReporting in modules { host.report(reporter) }
        for case let backend as any Selecting in backends {
            backend.select { [dispatcher = host.dispatcher] in dispatcher.isMeant($0) }
        }
        for case let backend as any RecordKeeping in backends {
            backend.keep(in: store.storage(for: "backend \(backend.name)"))
        }
        for case let backend as any Completing in backends {
            backend.complete(from: { host.registry.table.lines }, prefix: core.prefixes.prefix) {
                host.dispatcher.holdsSecrets($0)
            }
        }

        var services: [ServiceGroupConfiguration.ServiceConfiguration] = [
            .init(
                service: StoreKeeping(
                    store: store, delivery: host.delivery, days: core.store.retentionDays, logger: logger)),
            .init(service: host.pool),
        ]
        let ended = Signal()
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
                service: BackendsService(connections, after: gates, on: loop, ended: ended),
                successTerminationBehavior: .gracefullyShutdownGroup,
                failureTerminationBehavior: .gracefullyShutdownGroup))
        if let web = core.web {
            let first = stackStorms.first
            let access = host.access(for: first?.name ?? "web", storage: store.storage(for: "web"))
            let health = HealthRoutes(overview: host) {
                Gauges.update(metrics, host: host, reporters: modules.compactMap { $0 as? any GaugeReporting })
                return metrics.render()
            }
            var routes =
                health.routes
                + ChatopsWebhook(
                    host: access, secret: web.webhookSecret,
                    format: configuration.stackStorms.first?.resultFormat ?? .text,
                    allowsMentions: configuration.stackStorms.first?.allowsMentions ?? false,
                    defaultBackend: configuration.defaultBackend
                ).routes
            for case let backend as any WebRoutes in backends { routes += backend.routes }
            let pages = configuration.stackStorms.compactMap(\.loginPage)
            if !pages.isEmpty {
                routes +=
                    LoginRoutes(
                        logins, pages: pages, command: configuration.loginCommand, logger: logger
                    ).routes
                if configuration.hasLoginPage { routes += try LoginPage(folder: configuration.htmlFolder).routes }
            }
            let tls = web.certificate.flatMap { certificate in web.key.map { (certificate, $0) } }
            services.append(
                .init(
                    service: WebServer(
                        WebServer.Settings(
                            host: web.host, port: web.port, tls: tls, proxies: TrustedProxies(web.trustedProxies)),
                        routes: routes, logger: logger,
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
        return PetrelApp(group: ServiceGroup(configuration: group), host: host, store: store, ended: ended)
    }

    func run() async throws {
        await host.restorePlaces(from: store.storage(for: "host"))
        let end = Task { [group, ended] in
            await ended.wait()
            await group.triggerGracefulShutdown()
        }
        defer { end.cancel() }
        try await group.run()
    }

    /// The commands of a configuration, without anything that runs.
    static func commands(of configuration: Configuration) throws -> CommandTable {
        let store = try Store()
        let audit = store.audit
        let host = try Host(
            backends: [], policy: configuration.policy, version: version, logger: .silent,
            metrics: NOOPMetricsHandler.instance, audit: audit, outbox: store.outbox)
        let modules: [any BotModule] =
            try [BuiltinsModule(overview: host, audit: audit)]
            + configuration.stackStorms.map { try StackStormModule($0, logger: .silent) }
        return CommandTable(modules.flatMap { module in module.commands.map { (module.name, $0) } })
    }
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
