package import CoreMetrics
package import Logging
package import PetrelKit

/// The house: what every module is handed, and what the command wires together.
package final class Host: Sendable {
    package let registry = CommandRegistry()
    package let delivery: Delivery
    package let dispatcher: Dispatcher
    package let pool: TaskPool
    package let metrics: any MetricsFactory
    package let name: String
    package let version: String
    fileprivate let places: PlaceMemory
    private let started = ContinuousClock.now
    private let reporters = Locked<[any StatusReporting]>([])
    fileprivate let logger: Logger

    package init(
        backends: [any ChatBackend], policy: Dispatcher.Policy, name: String = "petrel", version: String,
        logger: Logger,
        metrics: any MetricsFactory, limits: FairQueueLimits = FairQueueLimits()
    ) {
        let pool = TaskPool()
        let places = PlaceMemory()
        self.pool = pool
        self.places = places
        self.name = name
        self.version = version
        self.logger = logger
        self.metrics = metrics
        delivery = Delivery(to: backends, pool: pool, logger: logger, metrics: metrics)
        dispatcher = Dispatcher(
            registry, delivery: delivery, pool: pool, policy: policy, logger: logger, metrics: metrics, queue: limits,
            seen: { places.remember($0.place, on: $1) })
    }

    /// What one module sees of the house.
    /// - Parameter readiness: opened when the module calls `ready()`.
    package func access(for module: String, storage: any Storage, readiness: Signal = Signal()) -> some ModuleHost {
        HostAccess(host: self, module: module, storage: storage, readiness: readiness)
    }

    /// Something that whoever runs the bot should read.
    package func note(_ text: String) { logger.notice("\(text)") }

    package func report(_ reporter: any StatusReporting) { reporters.withLock { $0.append(reporter) } }
}

extension Host: HostOverview {
    package var uptime: Duration { ContinuousClock.now - started }

    package func commands(for invocation: Invocation) -> [Command] {
        let access = dispatcher.currentPolicy.access
        return registry.table.entries.map(\.command)
            .filter { !$0.isAdminOnly || access.isAdmin(invocation.message.sender) }
            .sorted { $0.name < $1.name }
    }

    package func status() -> [StatusLine] {
        let load = dispatcher.load
        let detail = "\(load.running) running, \(load.waiting) waiting, \(delivery.depth) replies to send"
        return reporters.value.flatMap { $0.status() } + [StatusLine("commands", isHealthy: true, detail)]
    }
}

private struct HostAccess: ModuleHost {
    let host: Host
    let module: String
    let storage: any Storage
    let readiness: Signal

    var overview: any HostOverview { host }
    var metrics: any MetricsFactory { host.metrics }
    var logger: Logger {
        var logger = host.logger
        logger[metadataKey: "module"] = "\(module)"
        return logger
    }

    func ready() { readiness.open() }

    func publish(_ commands: [Command]) {
        for name in host.registry.publish(commands, from: module) {
            logger.error("Another module has a command called “\(name)” already: this one cannot be called.")
        }
    }

    func say(_ reply: Reply, at address: Address) async throws { await host.delivery.say(reply, to: address) }

    func address(named name: String, in backend: String?) -> Address? {
        let names = host.delivery.names
        guard
            let chosen = backend.flatMap({ names.contains($0) ? $0 : nil }) ?? host.places.backend(of: name)
                ?? names.first
        else { return nil }
        let naming = host.delivery.backend(chosen) as? any PlaceNaming
        let place = naming.map { $0.place(named: name) } ?? (name.hasPrefix("@") ? .direct(name) : .room(name))
        return place.map { Address(backend: chosen, place: $0) }
    }
}

/// On which backend a room or person was seen last, for names that come without one. Bounded.
private final class PlaceMemory: Sendable {
    private static let capacity = 10_000
    private let backends = Locked<[String: String]>([:])

    func remember(_ place: Address.Place, on backend: String) {
        backends.withLock { backends in
            if backends.count >= Self.capacity, backends[place.id] == nil { backends.removeAll(keepingCapacity: true) }
            backends[place.id] = backend
        }
    }

    func backend(of name: String) -> String? { backends.withLock { $0[name] } }
}
