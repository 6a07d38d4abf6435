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
    private let adminRooms: [String]

    package init(
        backends: [any ChatBackend], policy: Dispatcher.Policy, name: String = "petrel", version: String,
        logger: Logger,
        metrics: any MetricsFactory, audit: any AuditLog, outbox: any Outbox, adminRooms: [String] = [],
        limits: FairQueueLimits = FairQueueLimits(), executor: (any TaskExecutor)? = nil,
        delivery deliveryLimits: Delivery.Limits = Delivery.Limits()
    ) throws {
        let pool = TaskPool(on: executor)
        let places = PlaceMemory()
        self.pool = pool
        self.places = places
        self.name = name
        self.version = version
        self.logger = logger
        self.metrics = metrics
        self.adminRooms = adminRooms
        delivery = try Delivery(
            to: backends, outbox: outbox, pool: pool, logger: logger, metrics: metrics, limits: deliveryLimits)
        dispatcher = Dispatcher(
            registry, delivery: delivery, pool: pool, policy: policy, logger: logger, metrics: metrics, audit: audit,
            queue: limits,
            seen: { places.remember($0, on: $1) })
        delivery.onUndeliverable { [weak self] lane, reason in self?.tellAdmins(of: lane, reason) }
    }

    /// Takes one message from a backend.
    package func receive(_ message: ChatMessage, from backend: String) {
        dispatcher.receive(message, from: backend, overview: self)
    }

    /// What one module sees of the house.
    /// - Parameter readiness: opened when the module calls `ready()`.
    package func access(for module: String, storage: any Storage, readiness: Signal = Signal()) -> some ModuleHost {
        HostAccess(host: self, module: module, storage: storage, readiness: readiness)
    }

    /// Something that whoever runs the bot should read.
    package func note(_ text: String) { logger.notice("\(text)") }

    package func warn(_ text: String) { logger.warning("\(text)") }

    /// In the log, and in every room of `bot.admin_rooms`.
    package func tellAdmins(_ text: String) { tellAdmins(text, except: nil) }

    private func tellAdmins(of lane: Lane, _ reason: String) {
        let (place, backend) = (Markdown.escaped(lane.place.id), Markdown.escaped(lane.backend))
        tellAdmins(
            "I cannot say anything in \(place) on \(backend): \(Markdown.escaped(reason)). What was meant for it is kept; "
                + "`petrel outbox list` shows it, and `petrel outbox retry` sends it again.", except: lane)
    }

    private func tellAdmins(_ text: String, except lane: Lane?) {
        logger.warning("\(Markdown.readable(text))")
        for room in adminRooms {
            guard let address = address(named: room, in: nil) else {
                logger.error("There is no room \(room), which bot.admin_rooms names.")
                continue
            }
            guard Lane(backend: address.backend, place: address.place) != lane else { continue }
            delivery.answer(Reply(text, style: .markdown, kind: .error), to: address)
        }
    }

    package func report(_ reporter: any StatusReporting) { reporters.withLock { $0.append(reporter) } }
}

extension Host: HostOverview {
    package var uptime: Duration { ContinuousClock.now - started }

    package var prefix: String { dispatcher.currentPolicy.prefixes.prefix }

    package func commands(for invocation: Invocation) -> [Command] {
        let message = invocation.message
        return dispatcher.visible(to: message.sender, in: message.room, on: invocation.address.backend)
    }

    package func shows(_ template: String, to invocation: Invocation) -> Bool {
        let message = invocation.message
        return dispatcher.shows(template, to: message.sender, in: message.room, on: invocation.address.backend)
    }

    package func decision(on line: String, by person: Person, in room: Room?, on backend: String) -> AccessDecision? {
        dispatcher.decision(on: line, by: person, in: room, on: backend)
    }

    package func verdict(on line: String, for invocation: Invocation) -> Verdict {
        dispatcher.verdict(on: line, for: invocation)
    }

    package func person(named name: String, on backend: String) -> Person? {
        places.person(named: name, on: backend)
    }

    package func room(named name: String, on backend: String) -> Room? { places.room(named: name, on: backend) }

    package func isListed(_ person: Person, on backend: String, in people: Set<String>) -> Bool {
        dispatcher.currentPolicy.access.isListed(person, on: backend, in: people)
    }

    package func masked(_ line: String) -> String { dispatcher.masked(line) }

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
    var audit: any AuditLog { host.dispatcher.audit }
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

    func replace(_ handle: String, with reply: Reply, on backend: String) {
        guard let editing = host.delivery.backend(backend) as? any Editing else { return }
        editing.replace(handle, with: reply.cleaned.readable(for: editing.traits))
    }

    func say(_ reply: Reply, at address: Address, _ receipt: Receipt) throws {
        try host.delivery.say(reply, to: address, receipt, of: module)
    }

    func tellAdmins(_ text: String) { host.tellAdmins(text) }

    func address(named name: String, in backend: String?) -> Address? { host.address(named: name, in: backend) }
}

extension Host {
    /// Where a bare name is: in the named backend, else where it was seen, else in the first.
    fileprivate func address(named name: String, in backend: String?) -> Address? {
        let names = delivery.names
        guard
            let chosen = backend.flatMap({ names.contains($0) ? $0 : nil }) ?? places.backend(of: name) ?? names.first
        else { return nil }
        let naming = delivery.backend(chosen) as? any PlaceNaming
        let place = naming.map { $0.place(named: name) } ?? (name.hasPrefix("@") ? .direct(name) : .room(name))
        return place.map { Address(backend: chosen, place: $0) }
    }
}

/// Who and what was seen where, for names that come without a backend or without an id. Bounded.
private final class PlaceMemory: Sendable {
    private static let capacity = 10_000

    private struct Key: Hashable {
        var backend: String
        var name: String
    }

    private struct State {
        var backends: [String: String] = [:]
        var people: [Key: Person] = [:]
        var rooms: [Key: Room] = [:]
    }

    private let state = Locked(State())

    func remember(_ message: ChatMessage, on backend: String) {
        state.withLock { state in
            if state.backends.count >= Self.capacity || state.people.count >= Self.capacity { state = State() }
            state.backends[message.place.id] = backend
            state.people[Key(backend: backend, name: message.sender.name)] = message.sender
            guard let room = message.room else { return }
            state.rooms[Key(backend: backend, name: room.name)] = room
        }
    }

    func backend(of name: String) -> String? { state.withLock { $0.backends[name] } }

    func person(named name: String, on backend: String) -> Person? {
        state.withLock { state in
            state.people[Key(backend: backend, name: name)]
                ?? state.people.first {
                    $0.key.backend == backend && $0.value.id == name
                }?.value
        }
    }

    func room(named name: String, on backend: String) -> Room? {
        state.withLock { state in
            state.rooms[Key(backend: backend, name: name)]
                ?? state.rooms.first {
                    $0.key.backend == backend && $0.value.id == name
                }?.value
        }
    }
}
