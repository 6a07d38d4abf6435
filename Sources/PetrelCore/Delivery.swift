package import CoreMetrics
import DequeModule
import Foundation
package import Logging
package import PetrelKit
import PetrelSupport

/// Brings replies to backends: in order for each place, places independent of each other, and nothing is lost.
///
/// What a module says of its own accord goes into the store together with its transaction, unless it was sent before the
/// store came to it. An answer to a command goes there when it has to wait: behind others, or because the backend did
/// not take it.
package final class Delivery: Sendable {
    /// Bounds, which tests make small.
    package struct Limits: Sendable {
        /// Parcels of one place that wait in memory. More of them wait in the store.
        package var memory = 1_000
        /// Parcels that wait in all.
        package var total = 1_000_000
        /// Parcels of one backend that were sent while the store does not know: what may come twice after a crash.
        package var inFlight = 25
        /// Attempts for what must not be kept.
        package var attempts = 6
        /// After this time a backend that takes nothing is given up.
        package var patience = Duration.seconds(86_400)
        /// From here on people are told how late it is.
        package var late = Duration.seconds(60)

        package init() {}
    }

    let backends: [String: any ChatBackend]
    let outbox: any Outbox
    let limits: Limits
    let logger: Logger
    let meters: Meters
    private let pool: TaskPool
    private let clock: any Clock<Duration>
    let state: Locked<DeliveryState>
    private let router = Locked<@Sendable (String) -> Route> { .undecided("“\($0)” is not a known place") }
    private let undeliverable = Locked<@Sendable (DeliveryQueue, String) -> Void> { _, _ in }

    package init(
        to backends: [any ChatBackend], outbox: any Outbox, pool: TaskPool, logger: Logger,
        metrics: any MetricsFactory, limits: Limits = Limits(), clock: any Clock<Duration> = ContinuousClock()
    ) throws {
        self.backends = Dictionary(backends.map { ($0.name, $0) }) { first, _ in first }
        self.outbox = outbox
        self.pool = pool
        self.logger = logger
        self.limits = limits
        self.clock = clock
        meters = Meters(metrics)
        let (last, queues) = (try outbox.lastNumber(), try outbox.queues())
        state = Locked(DeliveryState(last: last, queues: queues, limits: limits))
        outbox.observe { [weak self] in self?.advance($0) }
        for queue in queues { pool.spawn { await self.work(queue) } }
    }

    package func backend(_ name: String) -> (any ChatBackend)? { backends[name] }

    package var names: [String] { backends.keys.sorted() }

    /// Replies that wait to be sent.
    package var depth: Int { state.withLock { $0.waiting } }

    /// Those of them that are in memory.
    package var inMemory: Int { state.withLock { $0.inMemory } }

    /// Looks for places of which only the name is known, each time that something is to be said there.
    package func route(_ route: @escaping @Sendable (String) -> Route) { router.withLock { $0 = route } }

    /// The same reply with the address by now; nil and why where there is none.
    func decided(_ address: Address) -> Route {
        address.isUndecided ? router.value(address.place.id) : .to(address)
    }

    /// Called once for each place that can never be reached, until something reaches it again.
    package func onUndeliverable(_ call: @escaping @Sendable (DeliveryQueue, String) -> Void) {
        undeliverable.withLock { $0 = call }
    }

    /// Says something that a module was not asked for.
    /// - Parameter transaction: what the store writes with it, in the module's space.
    package func say(_ reply: Reply, to address: Address, _ transaction: MessageTransaction, of module: String) throws {
        try enqueue(Item(reply.cleaned, address, age: transaction.age), transaction, of: module)
    }

    /// Answers a command.
    /// - Parameter sent: called when the answer, and what was said before it, was sent or given up.
    package func answer(_ reply: Reply, to address: Address, sent: (@Sendable () -> Void)? = nil) {
        let reply = reply.cleaned
        guard reply.saysSomething || sent != nil else { return }
        var item = Item(reply, address)
        item.sent = sent
        do {
            try enqueue(item)
        } catch {
            meters.undelivered.increment()
            logger.critical("A reply to \(Printable.name(address.place.id)) on \(address.backend) was lost: \(error)")
            sent?()
        }
    }

    private func enqueue(_ item: Item, _ transaction: MessageTransaction? = nil, of module: String = "") throws {
        let isIdle = try state.withLock { state in
            // In the order of the numbers, which the store goes by.
            try state.add(item, isStoredAtOnce: transaction != nil) { outbox.add($0, transaction, of: module) }
        }
        if isIdle { pool.spawn { await self.work(item.entry.queue) } }
    }

    /// Takes up dead letters that are to be sent again.
    package func revive() async throws {
        state.withLock { $0.beginReviving() }
        defer { state.withLock { $0.endReviving() } }
        for entry in try await outbox.takeRevived() {
            let item = Item(entry)
            let isIdle = state.withLock { $0.takeUp(item) }
            if isIdle { pool.spawn { await self.work(entry.queue) } }
        }
    }

    /// The store has come further.
    private func advance(_ isTaking: Bool) { go(on: state.withLock { $0.advance(isTaking: isTaking) }) }

    private func go(on queues: [DeliveryQueue]) { for queue in queues { pool.spawn { await self.work(queue) } } }

    /// Sends what waits in one place, until there is nothing more that may be sent now.
    private func work(_ queue: DeliveryQueue) async {
        var policy = Backoff(first: .milliseconds(250), longest: .seconds(10))
        var random = SystemRandomNumberGenerator()
        while !Task.isCancelled, let step = state.withLock({ $0.next(in: queue) }) {
            switch step {
            case .wait: return outbox.flush()
            case .load(let after, let through): await load(queue, after: after, through: through)
            case .send(var item):
                let others = companions(of: item)
                switch await send(&item, with: others) {
                case .sent:
                    policy.succeeded()
                    for item in [item] + others { finish(item) }
                case .partly:
                    policy.succeeded()
                    putBack(item, isPart: true)
                case .never where !others.isEmpty:
                    // One of them is the reason.
                    for item in ([item] + others).reversed() { putBack(item, isPart: false) }
                    state.withLock { $0.note(isHeldUp: false, in: queue) }
                case .never(let reason): markDead(item, reason)
                case .later(let pause, let problem):
                    let pause = pause ?? policy.pause(using: &random)
                    log(problem, item, pause)
                    for item in ([item] + others).reversed() { putBack(item, isPart: false) }
                    state.withLock { $0.note(isHeldUp: true, in: queue) }
                    guard await pool.pause(for: pause, on: clock) else { return }
                }
            }
        }
    }

    private func load(_ queue: DeliveryQueue, after number: Int64, through last: Int64) async {
        do {
            let entries = try await outbox.pending(
                in: queue, after: number, through: last, limit: limits.memory)
            state.withLock { $0.loaded(entries, through: entries.last?.number ?? last, into: queue) }
        } catch {
            logger.error(
                "Cannot read the pending messages for \(Printable.name(queue.place.id)) on \(queue.backend): \(error)")
            try? await clock.sleep(for: .seconds(1))
        }
    }

    private func finish(_ item: Item) {
        let backend = item.entry.address.backend
        if item.isStored {
            outbox.remove(item.entry.number, item.pendingWrite) { [weak self] in self?.isSure(backend) }
        }
        state.withLock { $0.sent(item.entry) }
        item.sent?()
    }

    private func putBack(_ item: Item, isPart: Bool) {
        var item = item
        let backend = item.entry.address.backend
        if isPart, item.isStored {
            outbox.update(pieces: item.entry.pieces, of: item.entry.number) { [weak self] in self?.isSure(backend) }
        } else if item.isStored {
            go(on: state.withLock { $0.notSent(on: backend) })
        } else if !item.entry.reply.isConfidential, item.entry.reply.isVisible {
            item.isStored = true
            item.pendingWrite = outbox.add(item.entry, nil, of: "")
        }
        let final = item
        state.withLock { $0.putBack(final) }
    }

    private func markDead(_ item: Item, _ reason: String) {
        let queue = item.entry.queue
        meters.undelivered.increment()
        logger.error("A reply to \(Printable.name(queue.place.id)) on \(queue.backend) can never be sent: \(reason)")
        if item.entry.reply.isConfidential || !item.entry.reply.isVisible {
            if item.isStored { go(on: state.withLock { $0.notSent(on: queue.backend) }) }
        } else {
            if !item.isStored { _ = outbox.add(item.entry, nil, of: "") }
            outbox.markDead(item.entry.number, reason: reason) { [weak self] in
                if item.isStored { self?.isSure(queue.backend) }
            }
        }
        if state.withLock({ $0.died(item.entry) }) { undeliverable.value(queue, reason) }
        item.sent?()
    }

    /// The store knows what became of one entry. What waits for that is woken by ``advance(_:)``.
    private func isSure(_ backend: String) { state.withLock { $0.inFlight[backend, default: 1] -= 1 } }

    private func log(_ problem: String, _ item: Item, _ pause: Duration) {
        let queue = item.entry.queue
        let wait = pause.formatted(.units(allowed: [.seconds], fractionalPart: .show(length: 1)))
        logger.warning(
            "A reply to \(Printable.name(queue.place.id)) on \(queue.backend) was not sent: \(problem). The next attempt is in \(wait)."
        )
    }
}

/// Why nothing more is taken.
struct OutboxFull: Error, CustomStringConvertible {
    var waiting: Int

    var description: String { "the outbox is full: \(waiting) replies are pending" }
}

extension Delivery {
    struct Meters: Sendable {
        let delivered: Counter
        let undelivered: Counter

        init(_ metrics: any MetricsFactory) {
            delivered = Counter(label: "petrel_messages_sent_total", dimensions: [], factory: metrics)
            undelivered = Counter(label: "petrel_messages_undelivered_total", dimensions: [], factory: metrics)
        }
    }
}
