import CBuildInfo
import CoreMetrics
package import Logging
package import PetrelCore
package import PetrelKit
package import PetrelStore
package import PetrelSupport
import PetrelWeb
package import ServiceLifecycle
import UnixSignals

/// A bot that was built from a configuration.
package struct Bot: Sendable {
    /// The version of Petrel.
    package static let version = "0.1.0"
    /// The commit that the program was built from, with `-dirty` if the tree had changes; `unknown` if the build was not
    /// told.
    package static let commit: String = {
        let commit = String(cString: petrel_commit())
        return commit.isEmpty ? "unknown" : commit
    }()

    /// The services of the bot.
    package let group: ServiceGroup
    /// The core of the bot.
    package let host: Host
    /// The store.
    package let store: Store
    /// A signal that is opened when every backend has reached the end of its input.
    package let ended: Signal

    /// Runs the bot until a signal arrives or every backend has ended.
    package func run() async throws {
        await host.restorePlaces(from: store.storage(for: "host"))
        let end = Task { [group, ended] in
            await ended.wait()
            await group.triggerGracefulShutdown()
        }
        defer { end.cancel() }
        try await group.run()
    }
}

extension Bot {
    /// The parts that are created before the services.
    private struct Parts {
        var host: Host
        var backends: [any ChatBackend]
        var modules: [any BotModule]
    }

    /// Builds a bot, without running it.
    /// - Parameters:
    ///   - store: the store, in a file or in memory.
    ///   - loop: the event loop on which commands run.
    ///   - patience: the time after which backends connect even if a module is not ready.
    ///   - reload: a closure that reads the configuration again, at each SIGHUP and for `!reload`, and returns a sentence
    ///     for each fact; nil if the configuration is not in a file.
    ///   - listening: a closure that is called with the port of the web server once it accepts connections.
    ///   - serve: a closure that returns a service for the web routes in place of the web server.
    package static func build(
        _ configuration: Configuration, store: Store, log: LineLogHandler.Control,
        on loop: EventLoopExecutor = EventLoopExecutor(), catalog: Catalog = .current,
        patience: Duration = BackendsService.patience,
        reload: (@Sendable (Host) -> [String])? = nil, listening: @escaping @Sendable (Int) -> Void = { _ in },
        serve: ((Host, [WebRoute], Logger) -> any Service)? = nil
    ) throws -> Bot {
        let logger = Logger(label: "petrel") { LineLogHandler(label: $0, control: log) }
        let metrics = PrometheusMetrics(help: catalog.metricsHelp)
        store.tell(logger)
        store.audit.limit(to: configuration.core.store.auditBytes)
        let parts = try parts(of: configuration, store, logger, metrics, loop)
        if let write = parts.backends.lazy.compactMap({ ($0 as? any LogWriting)?.logWriter }).first {
            log.redirectIntoChat(to: write)
        }
        let host = parts.host
        host.report(store)
        let ended = Signal()
        let attached = host.attach(parts.modules, to: parts.backends, on: loop, ended: ended, patience: patience) {
            store.storage(for: $0)
        }
        var services = [
            service(
                StoreKeeping(
                    store: store, delivery: host.delivery, days: configuration.core.store.retentionDays,
                    logger: logger)), service(host.pool),
        ]
        services += attached.modules.map { service($0, atEnd: .ignore) }
        services.append(
            service(
                attached.backends, atEnd: .gracefullyShutdownGroup, atFailure: .gracefullyShutdownGroup))
        if let serve {
            services.append(service(serve(host, attached.routes, logger), atFailure: .gracefullyShutdownGroup))
        } else if let web = configuration.core.web {
            let server = webServer(web, host, attached.routes, metrics, logger, listening)
            services.append(service(server, atFailure: .gracefullyShutdownGroup))
        }
        if let reload {
            host.onReload { [weak host] in host.map(reload) ?? [] }
            services.append(service(HangupService { _ = host.reload() }))
        }
        var group = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: .silent)
        group.maximumGracefulShutdownDuration = .seconds(8)
        return Bot(group: ServiceGroup(configuration: group), host: host, store: store, ended: ended)
    }

    private static func parts(
        of configuration: Configuration, _ store: Store, _ logger: Logger, _ metrics: any MetricsFactory,
        _ loop: EventLoopExecutor
    ) throws -> Parts {
        let context = BackendContext(logger: logger, loop: loop, version: version, metrics: metrics)
        let backends = try configuration.backends.map { backend in
            try PlugInFailure.wrapping { try backend.plugIn.makeBackend(context) }
        }
        let core = configuration.core
        var limits = Delivery.Limits()
        limits.keepsDeadLetters = store.keepsRecords
        let host = try Host(
            backends: backends, policy: configuration.policy, name: core.name, version: version, logger: logger,
            metrics: metrics, audit: store.audit, outbox: store.outbox, adminRooms: core.adminRooms,
            defaultBackend: configuration.defaultBackend, executor: loop, delivery: limits)
        let modules = try modules(of: configuration, host, store, loop)
        return Parts(host: host, backends: backends, modules: modules)
    }

    private static func modules(
        of configuration: Configuration, _ host: Host, _ store: Store, _ loop: EventLoopExecutor
    ) throws -> [any BotModule] {
        let context = ModuleContext(loop: loop, web: configuration.web) { name in
            host.access(for: name, storage: store.storage(for: name))
        }
        return try configuration.modules.flatMap { plugIn in
            try PlugInFailure.wrapping { try plugIn.makeModules(context) }
        }
    }

    private static func webServer(
        _ web: CoreSettings.Web, _ host: Host, _ routes: [WebRoute], _ metrics: PrometheusMetrics, _ logger: Logger,
        _ listening: @escaping @Sendable (Int) -> Void
    ) -> WebServer {
        let health = HealthRoutes(health: host, version: version) {
            host.recordGauges()
            return metrics.render()
        }
        let tls = web.certificate.flatMap { certificate in web.key.map { (certificate, $0) } }
        return WebServer(
            WebServer.Settings(host: web.host, port: web.port, tls: tls, proxies: TrustedProxies(web.trustedProxies)),
            routes: health.routes + routes, logger: logger,
            listening: { port in
                logger.info("The web server listens on \(web.host) port \(port).")
                listening(port)
            })
    }

    private static func service(
        _ service: any Service,
        atEnd: ServiceGroupConfiguration.ServiceConfiguration.TerminationBehavior = .cancelGroup,
        atFailure: ServiceGroupConfiguration.ServiceConfiguration.TerminationBehavior = .cancelGroup
    ) -> ServiceGroupConfiguration.ServiceConfiguration {
        .init(service: service, successTerminationBehavior: atEnd, failureTerminationBehavior: atFailure)
    }

    /// Returns the commands of a configuration, and those that modules had in their latest run, without running anything.
    /// - Parameter records: the store, which is only read; nil before the first start.
    static func commands(of configuration: Configuration, _ records: Store?) async throws -> CommandTable {
        let store = try Store()
        let host = try Host(
            backends: [], policy: configuration.policy, version: version, logger: .silent,
            metrics: NOOPMetricsHandler.instance, audit: store.audit, outbox: store.outbox)
        let modules = try modules(of: configuration, host, records ?? store, EventLoopExecutor())
        for case let module as any CommandRestoring in modules { try await module.restoreCommands() }
        return CommandTable(modules.flatMap { module in module.commands.map { (module.name, $0) } })
    }
}

/// The error of a plug-in that cannot create a backend or a module, for example because a certificate cannot be read.
struct PlugInFailure: Error, CustomStringConvertible {
    var cause: any Error
    var description: String { "\(cause)" }

    static func wrapping<Value>(_ work: () throws -> Value) throws(PlugInFailure) -> Value {
        do {
            return try work()
        } catch {
            throw PlugInFailure(cause: error)
        }
    }
}

extension Logger {
    /// A logger for libraries whose messages duplicate those of Petrel.
    static let silent = Logger(label: "silent") { _ in SwiftLogNoOpLogHandler() }
}
