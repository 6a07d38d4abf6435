package import CoreMetrics
import DequeModule
import Foundation
package import Logging
package import PetrelKit
import PetrelSupport

/// Sends messages through backends: in order for each place, independently of other places, and without losing any.
///
/// A message that no command is waiting for is stored in its transaction, unless it is sent before the store writes it.
/// An answer to a command is stored only if it has to wait: behind other messages, or because sending it failed.
package final class Delivery: Sendable {
    /// The limits of the delivery.
    package struct Limits: Sendable {
        /// The maximum number of messages of one queue in memory. Further messages are only in the store.
        package var memory = 1_000
        /// The maximum number of pending messages.
        package var total = 1_000_000
        /// The maximum number of in-flight messages of one backend: those that were sent, or are being sent, while the
        /// store does not know the outcome. They may be sent twice after a crash.
        package var inFlight = 25
        /// The maximum number of attempts for a message that must not be stored.
        package var attempts = 6
        /// The time after which a message that could not be sent becomes a dead letter.
        package var patience = Duration.seconds(86_400)
        /// The delay from which on a message states how late it is.
        package var late = Duration.seconds(60)
        /// True if messages that can never be sent are kept, so that an operator can look at them.
        package var keepsDeadLetters = true

        /// Creates the default limits.
        package init() {}
    }

    let backends: [String: any ChatBackend]
    let outbox: any Outbox
    let limits: Limits
    let logger: Logger
    let meters: Meters
    private let pool: TaskPool
    private let clock: any Clock<Duration>
    let edits: Edits
    let state: Locked<DeliveryState>
    private let router = Locked<@Sendable (String) -> Route> { .undecided("“\($0)” is not a known place") }
    private let undeliverable = Locked<@Sendable (DeliveryQueue, String) -> Void> { _, _ in }

    /// Creates a delivery, and resumes the messages that are pending in the outbox.
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
        edits = Edits(pool, clock, logger)
        meters = Meters(metrics)
        let (last, queues) = (try outbox.lastNumber(), try outbox.queues())
        state = Locked(DeliveryState(last: last, queues: queues, limits: limits))
        outbox.observe { [weak self] in self?.advance($0) }
        for queue in queues { pool.spawn { await self.work(queue) } }
    }

    /// Returns the backend of this name.
    package func backend(_ name: String) -> (any ChatBackend)? { backends[name] }

    /// The names of the backends, sorted.
    package var names: [String] { backends.keys.sorted() }

    /// The number of pending messages.
    package var depth: Int { state.withLock { $0.waiting } }

    /// The number of pending messages in memory.
    package var inMemory: Int { state.withLock { $0.inMemory } }

    /// Sets the closure that resolves an undecided address. It is called for each attempt to send a message to it.
    package func route(_ route: @escaping @Sendable (String) -> Route) { router.withLock { $0 = route } }

    /// Resolves an address if it is undecided.
    func decided(_ address: Address) -> Route {
        address.isUndecided ? router.value(address.place.id) : .to(address)
    }

    /// Sets the closure that is called when a message becomes a dead letter: once for each queue, until a message of
    /// the queue is sent again.
    package func onUndeliverable(_ call: @escaping @Sendable (DeliveryQueue, String) -> Void) {
        undeliverable.withLock { $0 = call }
    }

    /// Queues a message that no command is waiting for. Throws ``OutboxFull``.
    /// - Parameters:
    ///   - transaction: the changes that the store commits with it.
    ///   - module: the name of the module.
    package func say(
        _ reply: Reply, to address: Address, marks: DeliveryMarks = DeliveryMarks(),
        _ transaction: MessageTransaction, of module: String
    ) throws {
        try enqueue(Item(reply.cleaned, address, marks, age: transaction.age), transaction, of: module)
    }

    /// Queues the answer to a command.
    /// - Parameter sent: a closure that is called when the answer and all messages before it were sent or given up.
    package func answer(
        _ reply: Reply, to address: Address, _ marks: DeliveryMarks = DeliveryMarks(),
        sent: (@Sendable () -> Void)? = nil
    ) {
        let reply = reply.cleaned
        guard reply.isVisible || marks.concernsResult || sent != nil else { return }
        var item = Item(reply, address, marks)
        item.sent = sent
        do {
            try enqueue(item)
        } catch {
            meters.undelivered.increment()
            logger.critical("A reply to \(Printable.name(address.place.id)) on \(address.backend) was lost: \(error)")
            sent?()
        }
    }

    /// Replaces a message that was sent or is being sent; see ``Speaking/replace(_:with:on:)``.
    package func replace(_ handle: String, with reply: Reply, on backend: String) {
        guard let backend = backends[backend] as? any Editing else { return }
        edits.replace(handle, with: Self.shaped(reply.cleaned, for: backend), on: backend)
    }

    /// Replaces a message; see ``MessageRecalling/replace(_:with:on:settled:)``.
    package func replace(
        _ handle: String, with reply: Reply, on backend: String, settled: @escaping @Sendable () -> Void
    ) {
        guard let backend = backends[backend] as? any Editing else { return settled() }
        edits.replace(handle, with: Self.shaped(reply.cleaned, for: backend), on: backend) { outcome in
            if outcome != .failed { settled() }
        }
    }

    /// Calls a closure with the reference of a message; see ``MessageRecalling/remember(_:on:_:)``.
    package func remember(_ handle: String, on backend: String, _ store: @escaping @Sendable (SentMessage) -> Void) {
        guard backends[backend] is any Editing else { return }
        edits.onSent(handle, on: backend, store)
    }

    /// Makes a message of an earlier run replaceable; see ``MessageRecalling/recall(_:as:)``.
    package func recall(_ message: SentMessage, as handle: String) {
        guard let backend = backends[message.address.backend] as? any Editing else { return }
        edits.remember(handle, message.message, at: message.address, on: backend)
    }

    /// Answers with a message in place of another one; see ``Speaking/answer(_:replacing:at:)``.
    package func answer(_ reply: Reply, replacing handle: String, at address: Address) {
        guard let backend = backends[address.backend] as? any Editing, backend.traits.edits else {
            return answer(reply, to: address)
        }
        edits.replace(handle, with: Self.shaped(reply.cleaned, for: backend), on: backend) { [weak self] outcome in
            if outcome != .shown { self?.answer(reply, to: address) }
        }
    }

    /// Returns a reply as a backend shows it.
    static func shaped(_ reply: Reply, for backend: any ChatBackend) -> Reply {
        backend.shaped(reply.readable(for: backend.traits))
    }

    private func enqueue(_ item: Item, _ transaction: MessageTransaction? = nil, of module: String = "") throws {
        let isIdle = try state.withLock { state in
            // Inside the lock, so that entries are stored in the order of their numbers.
            try state.add(item, isStoredAtOnce: transaction != nil) { outbox.add($0, transaction, of: module) }
        }
        if isIdle { pool.spawn { await self.work(item.entry.queue) } }
    }

    /// Queues the dead letters that an operator wants to be sent again.
    package func revive() async throws {
        state.withLock { $0.beginReviving() }
        defer { state.withLock { $0.endReviving() } }
        for entry in try await outbox.takeRevived() {
            let item = Item(entry)
            let isIdle = state.withLock { $0.takeUp(item) }
            if isIdle { pool.spawn { await self.work(entry.queue) } }
        }
    }

    /// Continues the queues that waited for the store.
    /// - Parameter isTaking: false if writes are failing.
    private func advance(_ isTaking: Bool) { go(on: state.withLock { $0.advance(isTaking: isTaking) }) }

    private func go(on queues: [DeliveryQueue]) { for queue in queues { pool.spawn { await self.work(queue) } } }

    /// Sends the messages of a queue, until it is empty or has to wait for the store.
    private func work(_ queue: DeliveryQueue) async {
        var policy = Backoff(first: .milliseconds(250), longest: .seconds(10))
        var random = SystemRandomNumberGenerator()
        while !Task.isCancelled, let step = state.withLock({ $0.next(in: queue) }) {
            switch step {
            case .wait: return await settle()
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
                    // One of the merged messages is the reason, so they are sent one by one.
                    for item in ([item] + others).reversed() { putBack(item, isPart: false) }
                    state.withLock { $0.note(isHeldUp: false, in: queue) }
                case .never(let reason): markDead(item, reason)
                case .later(let pause, let problem):
                    let pause = pause ?? policy.pause(using: &random)
                    let kept = ([item] + others).reversed().filter { putBack($0, isPart: false) }
                    if kept.isEmpty { continue }
                    log(problem, item, pause)
                    state.withLock { $0.note(isHeldUp: true, in: queue) }
                    guard await pool.pause(for: pause, on: clock) else { return }
                }
            }
        }
        if state.withLock({ $0.hasBlockedQueues }) { await settle() }
    }

    /// Waits until the store has made progress, and continues the queues that waited for it.
    ///
    /// A job must not end before that: at shutdown the pool ends as soon as no job is running, and the remaining messages
    /// would wait for the next start.
    private func settle() async {
        await outbox.flush()
        go(on: state.withLock { $0.wake() })
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

    private func removeFromStore(_ item: Item) {
        guard item.isStored else { return }
        let backend = item.entry.address.backend
        outbox.remove(item.entry.number, item.pendingWrite) { [weak self] in self?.isSettled(on: backend) }
    }

    private func finish(_ item: Item) {
        removeFromStore(item)
        state.withLock { $0.sent(item.entry) }
        item.sent?()
    }

    /// Gives up the messages that are pending: those that wait are dropped, and those that are being sent are not sent
    /// again.
    /// - Parameter reason: The reason, as a clause.
    package func giveUp(_ reason: String) {
        for item in state.withLock({ $0.giveUp() }) {
            if item.isStored { outbox.remove(item.entry.number, item.pendingWrite) {} }
            noteGivenUp(item, reason)
        }
        // The queues that pause after a failure are empty now.
        pool.endPauses()
    }

    private func noteGivenUp(_ item: Item, _ reason: String) {
        meters.undelivered.increment()
        let queue = item.entry.queue
        logger.error("A reply to \(Printable.name(queue.place.id)) on \(queue.backend) was given up: \(reason)")
        if let handle = item.entry.marks.handle { edits.cannotReplace(handle, on: queue.backend) }
        item.sent?()
    }

    /// Puts a message that was not sent back into its queue. Returns false if it was given up meanwhile.
    @discardableResult
    private func putBack(_ item: Item, isPart: Bool) -> Bool {
        if state.withLock({ $0.isGivenUp(item) }) {
            removeFromStore(item)
            state.withLock { $0.sent(item.entry) }
            noteGivenUp(item, "it was not sent before the time was over")
            return false
        }
        var item = item
        let backend = item.entry.address.backend
        if isPart, item.isStored {
            outbox.update(pieces: item.entry.pieces, of: item.entry.number) { [weak self] in
                self?.isSettled(on: backend)
            }
        } else if item.isStored {
            go(on: state.withLock { $0.notSent(on: backend) })
        } else if !item.entry.reply.isConfidential, item.entry.reply.isVisible {
            item.isStored = true
            item.pendingWrite = outbox.add(item.entry, nil, of: "")
        }
        let final = item
        state.withLock { $0.putBack(final) }
        return true
    }

    private func markDead(_ item: Item, _ reason: String) {
        let queue = item.entry.queue
        meters.undelivered.increment()
        logger.error("A reply to \(Printable.name(queue.place.id)) on \(queue.backend) can never be sent: \(reason)")
        if item.entry.reply.isConfidential || !item.entry.reply.isVisible {
            if item.isStored { go(on: state.withLock { $0.notSent(on: queue.backend) }) }
        } else if !limits.keepsDeadLetters {
            removeFromStore(item)
        } else {
            if !item.isStored { _ = outbox.add(item.entry, nil, of: "") }
            outbox.markDead(item.entry.number, reason: reason) { [weak self] in
                if item.isStored { self?.isSettled(on: queue.backend) }
            }
        }
        if state.withLock({ $0.died(item.entry) }) { undeliverable.value(queue, reason) }
        if let handle = item.entry.marks.handle { edits.cannotReplace(handle, on: queue.backend) }
        item.sent?()
    }

    /// Records that the store knows the outcome of a message. Queues that wait for that are continued by
    /// ``advance(_:)``.
    private func isSettled(on backend: String) { state.withLock { $0.inFlight[backend, default: 1] -= 1 } }

    private func log(_ problem: String, _ item: Item, _ pause: Duration) {
        let queue = item.entry.queue
        logger.warning(
            "A reply to \(Printable.name(queue.place.id)) on \(queue.backend) was not sent: \(problem). The next attempt is in \(pause.inSeconds)."
        )
    }
}

/// The error of a message that is rejected because too many messages are pending.
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
