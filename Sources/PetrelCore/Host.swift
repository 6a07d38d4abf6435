package import CoreMetrics
package import Logging
package import PetrelKit
import PetrelSupport

/// The core of the bot: it connects backends, modules, the dispatcher and the delivery.
package final class Host: Sendable {
    /// The commands of all modules.
    package let registry = CommandRegistry()
    /// The delivery of messages.
    package let delivery: Delivery
    /// The dispatcher of messages.
    package let dispatcher: Dispatcher
    /// The tasks of commands and of the delivery.
    package let pool: TaskPool
    /// The metrics of the bot.
    package let metrics: any MetricsFactory
    /// The name of the bot.
    package let name: String
    /// The version of Petrel.
    package let version: String
    private let places = PlaceDirectory()
    private let router: PlaceRouter
    private let started = ContinuousClock.now
    private let reporters = Locked<[any StatusReporting]>([])
    private let gaugeReporters = Locked<[any GaugeReporting]>([])
    /// The modules that are attached.
    private let attached = Locked<[any BotModule]>([])
    /// The backends that go on working after they have accepted a request.
    private let workers = Locked<[any WorkCounting]>([])
    private let reloading = Locked<(@Sendable () -> [String])?>(nil)
    private let gates = Locked<[String: Signal]>([:])
    let logger: Logger
    private let adminRooms: [String]

    /// Creates a host. Nothing runs until its ``pool`` and the attached services run.
    package init(
        backends: [any ChatBackend], policy: Dispatcher.Policy, name: String = "petrel", version: String,
        logger: Logger,
        metrics: any MetricsFactory, audit: any AuditLog, outbox: any Outbox, adminRooms: [String] = [],
        defaultBackend: String? = nil,
        limits: FairQueueLimits = FairQueueLimits(), executor: (any TaskExecutor)? = nil,
        delivery deliveryLimits: Delivery.Limits = Delivery.Limits()
    ) throws {
        let pool = TaskPool(on: executor)
        self.pool = pool
        self.name = name
        self.version = version
        self.logger = logger
        self.metrics = metrics
        self.adminRooms = adminRooms
        let (places, router) = (
            places,
            PlaceRouter(
                backends: Dictionary(backends.map { ($0.name, $0) }) { first, _ in first }, places: places,
                fallback: defaultBackend)
        )
        self.router = router
        delivery = try Delivery(
            to: backends, outbox: outbox, pool: pool, logger: logger, metrics: metrics, limits: deliveryLimits)
        dispatcher = Dispatcher(
            registry, delivery: delivery, pool: pool, policy: policy, logger: logger, metrics: metrics, audit: audit,
            queue: limits,
            seen: { places.remember($0, on: $1) })
        delivery.route { router.route($0, in: nil, orElse: nil) }
        delivery.onUndeliverable { [weak self] queue, reason in self?.tellAdmins(of: queue, reason) }
    }

    /// Restores the place directory of the earlier run. Must be called before any backend runs.
    package func restorePlaces(from storage: any Storage) async { await places.restore(from: storage, logger) }

    /// Dispatches a message of a backend, as soon as the backend has fewer waiting messages than
    /// ``FairQueueLimits/backendLimit``. If the current task is cancelled meanwhile, the message is dispatched at once.
    func deliver(_ message: ChatMessage, from backend: String) async {
        await dispatcher.waitForCapacity(of: backend)
        receive(message, from: backend)
    }

    /// Dispatches a message of a backend, and returns at once.
    package func receive(_ message: ChatMessage, from backend: String) {
        dispatcher.receive(message, from: backend)
    }

    /// Returns the interfaces for a module.
    package func access(for module: String, storage: any Storage) -> ModuleHost {
        let readiness = readiness(of: module)
        var logger = logger
        logger[metadataKey: "module"] = "\(module)"
        return ModuleHost(
            module: module,
            commands: ModuleCommands(registry: registry, module: module, readiness: readiness, logger: logger),
            chat: ModuleSpeech(host: self, module: module), places: router, rules: self, activities: self,
            configuration: self, help: self, bot: self,
            health: self, storage: storage, audit: dispatcher.audit, metrics: metrics, logger: logger)
    }

    /// Returns the signal that a module opens when it is ready.
    func readiness(of module: String) -> Signal {
        gates.withLock { gates in
            let gate = gates[module] ?? Signal()
            gates[module] = gate
            return gate
        }
    }

    /// Logs a notice.
    package func note(_ text: String) { logger.notice("\(text)") }

    /// Logs a warning.
    package func warn(_ text: String) { logger.warning("\(text)") }

    /// Sends a text in Markdown to every room of `bot.admin_rooms`, and logs it.
    package func tellAdmins(_ text: String) { tellAdmins(text, except: nil) }

    private func tellAdmins(of queue: DeliveryQueue, _ reason: String) {
        let address = Address(backend: queue.backend, place: queue.place)
        let backend = address.isUndecided ? "" : " on \(Markdown.escaped(queue.backend))"
        let kept = "They are kept: `petrel outbox list` shows them, and `petrel outbox retry` sends them again."
        tellAdmins(
            "Cannot deliver messages to \(Markdown.escaped(queue.place.id))\(backend): \(Markdown.escaped(reason)). "
                + (delivery.limits.keepsDeadLetters ? kept : "They are lost."), except: queue)
    }

    private func tellAdmins(_ text: String, except queue: DeliveryQueue?) {
        logger.warning("\(Markdown.readable(text))")
        for room in adminRooms {
            // A message to an undecided address becomes a dead letter that states the reason.
            let address =
                if case .to(let address) = router.route(room, in: nil, orElse: nil) { address } else {
                    Address.undecided(room)
                }
            guard DeliveryQueue(backend: address.backend, place: address.place) != queue else { continue }
            delivery.answer(Reply(text, style: .markdown, kind: .error), to: address)
        }
    }

    /// The modules that are attached.
    package var modules: [any BotModule] { attached.value }

    /// Adds modules, whose optional capabilities are used from now on.
    func add(_ modules: [any BotModule]) {
        attached.withLock { $0 += modules }
        dispatcher.hooks.withLock { hooks in
            hooks.expanders += modules.compactMap { $0 as? any LineExpanding }
            hooks.answerers += modules.compactMap { $0 as? any UnknownAnswering }
            hooks.silencers += modules.compactMap { $0 as? any Silencing }
        }
    }

    /// Sets the closure that reads the configuration again and returns a sentence for each fact.
    package func onReload(_ reload: @escaping @Sendable () -> [String]) { reloading.withLock { $0 = reload } }

    /// Adds a component to the status.
    package func report(_ reporter: any StatusReporting) { reporters.withLock { $0.append(reporter) } }

    /// Adds a backend that goes on working after it has accepted a request.
    func count(_ worker: any WorkCounting) { workers.withLock { $0.append(worker) } }

    /// Adds a part with gauges.
    func measure(_ reporter: any GaugeReporting) { gaugeReporters.withLock { $0.append(reporter) } }
}

extension Host: GaugeReporting {
    package func gauges() -> [(name: String, labels: [(String, String)], value: Double)] {
        let load = dispatcher.load
        return [
            ("petrel_commands_running", [], Double(load.running)),
            ("petrel_commands_waiting", [], Double(load.waiting)),
            ("petrel_replies_waiting", [], Double(delivery.depth)),
        ] + gaugeReporters.value.flatMap { $0.gauges() }
    }

    /// Sets the gauges of the bot, its modules and its backends to their current values.
    package func recordGauges() {
        for gauge in gauges() {
            Gauge(label: gauge.name, dimensions: gauge.labels, factory: metrics).record(gauge.value)
        }
    }
}

extension Host: WorkCounting {
    /// Returns the number of messages, commands, jobs and replies that are accepted and not done.
    package func pendingWork() async -> Int {
        var count = 0
        // In the order in which work moves on, so that none is missed between two of them.
        for backend in workers.value { count += await backend.pendingWork() }
        let load = dispatcher.load
        count += load.running + load.waiting
        for case let module as any WorkCounting in modules { count += await module.pendingWork() }
        return count + delivery.depth
    }

    /// Ends the commands, and the work of the modules that can end it, and tells the people who wait for them. Further calls
    /// end what has come meanwhile.
    /// - Parameter reason: The reason, as a clause.
    package func endWork(_ reason: String) {
        dispatcher.endCommands(reason)
        for case let module as any WorkEnding in modules { module.endWork(reason) }
    }
}

extension Host: BotDescribing {
    package var uptime: Duration { ContinuousClock.now - started }

    package var prefix: String { dispatcher.currentPolicy.prefixes.prefix }
}

extension Host: CommandListing {
    package func commands(for invocation: Invocation) -> [Command] {
        let message = invocation.message
        return dispatcher.visible(to: message.sender, in: message.room, on: invocation.address.backend)
    }

    package func shows(_ template: String, to invocation: Invocation) -> Bool {
        let message = invocation.message
        return dispatcher.shows(template, to: message.sender, in: message.room, on: invocation.address.backend)
    }
}

extension Host: Judging {
    package func decision(on line: String, by person: Person, in room: Room?, on backend: String) -> AccessDecision? {
        dispatcher.decision(on: line, by: person, in: room, on: backend)
    }

    package func call(_ line: String, by caller: CommandCaller) throws -> JudgedCall? {
        try dispatcher.call(line, by: caller)
    }

    package func verdict(on line: String, for invocation: Invocation) -> Verdict {
        dispatcher.verdict(on: line, for: invocation)
    }

    package func isListed(_ person: Person, on backend: String, in people: Set<String>) -> Bool {
        dispatcher.currentPolicy.access.isListed(person, on: backend, in: people)
    }

    package func isListed(_ room: Room, on backend: String, in rooms: Set<String>) -> Bool {
        let names = dispatcher.currentPolicy.access.matchesNames ? [room.id, room.name] : [room.id]
        return names.contains { rooms.contains($0) || rooms.contains("\(backend)/\($0)") }
    }

    package func masked(_ line: String) -> String { dispatcher.masked(line) }
}

extension Host: ConfigurationReloading {
    package func reload() -> [String]? { reloading.value?() }
}

extension Host: ActivityListing {
    package func activities(_ query: ActivityQuery) async throws -> [Activity] {
        var all: [Activity] = []
        for case let module as any ActivityReporting in modules { all += try await module.activities(query) }
        return Array(all.sorted { $0.time > $1.time }.prefix(query.limit))
    }
}

extension Host: StatusReporting {
    package func status() -> [StatusLine] {
        let (load, depth) = (dispatcher.load, delivery.depth)
        let detail =
            "\(load.running) running, \(load.waiting) waiting, \(depth) repl\(depth == 1 ? "y" : "ies") to send"
        return reporters.value.flatMap { $0.status() } + conflicts + [StatusLine("commands", isHealthy: true, detail)]
    }

    /// A line for each module with commands that cannot be called.
    private var conflicts: [StatusLine] {
        let conflicts = registry.table.conflicts
        let modules = conflicts.map(\.module)
        return Set(modules).sorted().map { module in
            let names = conflicts.filter { $0.module == module }.map { "“\($0.name)” belongs to \($0.owner)" }
            let more = names.count > Self.mostConflicts ? " and \(names.count - Self.mostConflicts) more" : ""
            return StatusLine(
                "commands of \(module)", isHealthy: false,
                "cannot be called: \(names.prefix(Self.mostConflicts).joined(separator: ", "))\(more)")
        }
    }

    private static let mostConflicts = 5
}

private struct ModuleCommands: CommandPublishing {
    let registry: CommandRegistry
    let module: String
    let readiness: Signal
    let logger: Logger

    func ready() { readiness.open() }

    func module(having command: String) -> String? { registry.table.module(having: command) }

    func publish(_ commands: [Command]) {
        let conflicts = registry.publish(commands, from: module)
        for conflict in conflicts.prefix(Self.mostLogged) {
            logger.error(
                "The command “\(conflict.name)” of the module \(conflict.module) cannot be called: the module \(conflict.owner) has a command of this name."
            )
        }
        guard conflicts.count > Self.mostLogged else { return }
        logger.error("\(conflicts.count - Self.mostLogged) further commands cannot be called for the same reason.")
    }

    private static let mostLogged = 20
}

private struct ModuleSpeech: Speaking {
    let host: Host
    let module: String

    func say(
        _ reply: Reply, at address: Address, _ marks: DeliveryMarks, _ transaction: MessageTransaction
    ) throws {
        try host.delivery.say(reply, to: address, marks: marks, transaction, of: module)
    }

    func traits(of backend: String) -> BackendTraits? { host.delivery.backend(backend)?.traits }

    func thread(below message: String, on backend: String) -> String? {
        guard let backend = host.delivery.backend(backend), backend.traits.threads else { return nil }
        return if let backend = backend as? any ThreadNaming { backend.thread(below: message) } else { message }
    }

    func replace(_ handle: String, with reply: Reply, on backend: String) {
        host.delivery.replace(handle, with: reply, on: backend)
    }

    func answer(_ reply: Reply, replacing handle: String, at address: Address) {
        host.delivery.answer(reply, replacing: handle, at: address)
    }

    func tellAdmins(_ text: String) { host.tellAdmins(text) }
}

extension ModuleSpeech: MessageRecalling {
    func remember(_ handle: String, on backend: String, _ store: @escaping @Sendable (SentMessage) -> Void) {
        host.delivery.remember(handle, on: backend, store)
    }

    func recall(_ message: SentMessage, as handle: String) { host.delivery.recall(message, as: handle) }

    func replace(
        _ handle: String, with reply: Reply, on backend: String, settled: @escaping @Sendable () -> Void
    ) {
        host.delivery.replace(handle, with: reply, on: backend, settled: settled)
    }
}
