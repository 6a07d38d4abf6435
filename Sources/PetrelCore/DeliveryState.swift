import DequeModule
import Foundation
import PetrelKit

/// An entry as it waits in memory.
struct Item: Sendable {
    var entry: OutboxEntry
    /// It is in the store, or on its way there.
    var isStored = false
    /// Its way there; nil for what came out of it.
    var pendingWrite: PendingWrite?
    /// When it was said, by a clock that does not jump.
    var since: ContinuousClock.Instant
    var attempts = 0
    var sent: (@Sendable () -> Void)?

    init(_ reply: Reply, _ address: Address, age: Duration = .zero) {
        let seconds = age / .seconds(1)
        entry = OutboxEntry(number: 0, reply: reply, address: address, said: Date(timeIntervalSinceNow: -seconds))
        since = .now - age
    }

    /// Out of the store.
    init(_ entry: OutboxEntry) {
        self.entry = entry
        isStored = true
        since = .now - .seconds(max(0, Date.now.timeIntervalSince(entry.said)))
    }
}

extension Item {
    /// Whether it is only a text, which may stand below another one.
    private var isPlainText: Bool {
        let reply = entry.reply
        return entry.pieces == 0 && !reply.text.isEmpty && reply.extra.isEmpty && reply.buttons.isEmpty
            && reply.form == nil && reply.handle == nil && !reply.isPrivate && !reply.isConfidential
            && reply.promises == nil
            && (reply.kind == .answer || reply.kind == .result) && !TextBlock.hasOpenFence(reply.text)
    }

    func mayFollow(_ first: Item) -> Bool {
        isPlainText && first.isPlainText && entry.address == first.entry.address
            && entry.reply.style == first.entry.reply.style
    }
}

/// What waits where, and what may be sent next. Pure: whoever uses it sends and stores.
struct DeliveryState: Sendable {
    enum Step {
        case send(Item)
        /// More waits in the store, after the first number and up to the second.
        case load(after: Int64, through: Int64)
        /// Whoever waits for the store is woken when it has come further.
        case wait
    }

    private struct QueueState {
        var items: Deque<Item> = []
        /// The part of the queue that is only in the store: after the first number, up to the second.
        var stored: (after: Int64, through: Int64)?
        var isWorking = false
        /// Something had to wait, and what waits behind it may come together, until the queue is empty.
        var isHeldUp = false
    }

    private let limits: Delivery.Limits
    private var queues: [DeliveryQueue: QueueState] = [:]
    /// Lanes that wait for the store.
    private var blocked: Set<DeliveryQueue> = []
    private var last: Int64
    /// The highest number of an earlier run.
    private let restored: Int64
    private var isTaking = true
    /// Whom to tell of entries that are only in the store.
    private var callbacks: [Int64: @Sendable () -> Void] = [:]
    private(set) var waiting = 0
    /// Of each backend: sent, and the store does not know yet.
    var inFlight: [String: Int] = [:]
    /// What came out of the store and was not sent: it may be read there again.
    private var present: Set<Int64> = []
    /// While letters are revived: what was sent meanwhile may have been read as revived before.
    private var revivals = 0
    private var endedMeanwhile: Set<Int64> = []
    /// Places that nothing can be sent to.
    private var unreachable: Set<DeliveryQueue> = []

    /// - Parameters:
    ///   - last: the highest number that the store knows.
    ///   - queues: where something waits in the store.
    init(last: Int64, queues: [DeliveryQueue], limits: Delivery.Limits) {
        self.last = last
        restored = last
        self.limits = limits
        for queue in queues {
            self.queues[queue] = QueueState(stored: (0, last), isWorking: true)
        }
    }

    /// Adds at the end of a queue.
    /// - Parameter isStoredAtOnce: also where it has not to wait behind others.
    /// - Returns: whether nobody works on the queue, so that the caller has to start that.
    mutating func add(_ item: Item, isStoredAtOnce: Bool, store: (OutboxEntry) -> PendingWrite) throws -> Bool {
        guard waiting < limits.total else { throw OutboxFull(waiting: waiting) }
        var item = item
        last += 1
        item.entry.number = last
        let queue = item.entry.queue
        let isIdle = isIdle(queue)
        let mayBeStored = !item.entry.reply.isConfidential && item.entry.reply.isVisible
        item.isStored = mayBeStored && (isStoredAtOnce || !isIdle)
        if item.isStored { item.pendingWrite = store(item.entry) }
        waiting += 1
        if item.isStored, let after = storedAfter(queue) {
            queues[queue]?.stored = (after, last)
            callbacks[last] = item.sent
        } else {
            queues[queue, default: QueueState()].items.append(item)
        }
        if isIdle { queues[queue]?.isWorking = true }
        return isIdle
    }

    private func isIdle(_ queue: DeliveryQueue) -> Bool { queues[queue]?.isWorking != true && !blocked.contains(queue) }

    /// The number after which a queue is only in the store; nil where it has room in memory.
    private func storedAfter(_ queue: DeliveryQueue) -> Int64? {
        // Whatever the disk does: it waits behind what is there already.
        if let stored = queues[queue]?.stored { return stored.after }
        guard isTaking, let count = queues[queue]?.items.count, count >= limits.memory else { return nil }
        return queues[queue]?.items.last?.entry.number
    }

    mutating func beginReviving() { revivals += 1 }

    mutating func endReviving() {
        revivals -= 1
        guard revivals == 0 else { return }
        present.subtract(endedMeanwhile)
        endedMeanwhile = []
    }

    /// Adds what is in the store already, whatever its number.
    /// - Returns: as ``add(_:isStoredAtOnce:store:)`` does.
    mutating func takeUp(_ item: Item) -> Bool {
        let queue = item.entry.queue
        guard present.insert(item.entry.number).inserted else { return false }
        waiting += 1
        let isIdle = isIdle(queue)
        queues[queue, default: QueueState()].items.append(item)
        if isIdle { queues[queue]?.isWorking = true }
        return isIdle
    }

    /// What to do next in a queue; nil when nothing waits there. The caller works on it until then.
    mutating func next(in queue: DeliveryQueue) -> Step? {
        if let item = queues[queue]?.items.first {
            guard mayBeSent(item) else {
                queues[queue]?.isWorking = false
                blocked.insert(queue)
                return .wait
            }
            queues[queue]?.items.removeFirst()
            if item.isStored { inFlight[queue.backend, default: 0] += 1 }
            return .send(item)
        }
        if let stored = queues[queue]?.stored { return .load(after: stored.after, through: stored.through) }
        queues[queue] = nil
        return nil
    }

    /// What may be sent together with an item that was taken just now.
    /// - Parameter room: characters that are left for it.
    mutating func following(_ first: Item, in queue: DeliveryQueue, room: Int) -> [Item] {
        guard queues[queue]?.isHeldUp == true else { return [] }
        var found: [Item] = []
        var room = room
        while let item = queues[queue]?.items.first, item.mayFollow(first), mayBeSent(item) {
            room -= item.entry.reply.text.unicodeScalars.count + Delivery.margin
            guard room >= 0 else { break }
            queues[queue]?.items.removeFirst()
            if item.isStored { inFlight[queue.backend, default: 0] += 1 }
            found.append(item)
        }
        return found
    }

    mutating func note(isHeldUp: Bool, in queue: DeliveryQueue) {
        queues[queue, default: QueueState()].isHeldUp = isHeldUp
    }

    private func mayBeSent(_ item: Item) -> Bool {
        !isTaking || !item.isStored || inFlight[item.entry.address.backend, default: 0] < limits.inFlight
    }

    /// What came out of the store for a queue: all of it up to that number.
    mutating func loaded(_ entries: [OutboxEntry], through reached: Int64, into queue: DeliveryQueue) {
        guard let stored = queues[queue]?.stored else { return }
        for entry in entries where present.insert(entry.number).inserted {
            var item = Item(entry)
            item.sent = callbacks.removeValue(forKey: entry.number)
            queues[queue]?.items.append(item)
            if entry.number <= restored { waiting += 1 }
        }
        // More may have come there meanwhile.
        queues[queue]?.stored = reached < stored.through ? (reached, stored.through) : nil
    }

    /// The store has come further.
    /// - Returns: the queues that may go on; the caller starts that.
    mutating func advance(isTaking: Bool) -> [DeliveryQueue] {
        self.isTaking = isTaking
        return wake()
    }

    /// One entry is no longer in flight: it was not sent.
    mutating func notSent(on backend: String) -> [DeliveryQueue] {
        inFlight[backend, default: 1] -= 1
        return wake()
    }

    private mutating func wake() -> [DeliveryQueue] {
        if blocked.isEmpty { return [] }
        let ready = blocked.filter { queue in queues[queue]?.items.first.map { mayBeSent($0) } ?? true }
        for queue in ready {
            blocked.remove(queue)
            queues[queue]?.isWorking = true
        }
        return Array(ready)
    }

    var inMemory: Int { queues.values.reduce(0) { $0 + $1.items.count } }

    mutating func putBack(_ item: Item) { queues[item.entry.queue, default: QueueState()].items.prepend(item) }

    mutating func sent(_ entry: OutboxEntry) {
        end(entry)
        if !unreachable.isEmpty { unreachable.remove(entry.queue) }
    }

    /// Returns whether it is the first in its queue since something was sent there.
    mutating func died(_ entry: OutboxEntry) -> Bool {
        end(entry)
        return unreachable.insert(entry.queue).inserted
    }

    private mutating func end(_ entry: OutboxEntry) {
        waiting -= 1
        if revivals > 0 {
            present.insert(entry.number)
            endedMeanwhile.insert(entry.number)
        } else if !present.isEmpty {
            present.remove(entry.number)
        }
    }
}
