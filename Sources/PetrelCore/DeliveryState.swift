import DequeModule
import Foundation
import PetrelKit
import PetrelSupport

/// A pending message in memory.
struct Item: Sendable {
    var entry: OutboxEntry
    /// True if the message is in the store, or its write is pending.
    var isStored = false
    /// The pending write; nil for a message that was read from the store.
    var pendingWrite: PendingWrite?
    /// The time of the message, by a clock that does not jump.
    var since: ContinuousClock.Instant
    /// The number of failed attempts.
    var attempts = 0
    /// A closure that is called when the message was sent or given up.
    var sent: (@Sendable () -> Void)?

    init(_ reply: Reply, _ address: Address, _ marks: DeliveryMarks = DeliveryMarks(), age: Duration = .zero) {
        let seconds = age / .seconds(1)
        entry = OutboxEntry(
            number: 0, reply: reply, address: address, marks: marks, said: Date(timeIntervalSinceNow: -seconds))
        since = .now - age
    }

    /// Creates an item for a message that was read from the store.
    init(_ entry: OutboxEntry) {
        self.entry = entry
        isStored = true
        since = .now - .seconds(clamping: max(0, Date.now.timeIntervalSince(entry.said)))
    }
}

extension Item {
    /// True if the message is only a text, which can be merged with another one.
    private var isPlainText: Bool {
        let reply = entry.reply
        return entry.pieces == 0 && !reply.text.isEmpty && reply.extra.isEmpty && reply.buttons.isEmpty
            && reply.form == nil && entry.marks.handle == nil && !reply.isPrivate && !reply.isConfidential
            && entry.marks.promises == nil
            && (reply.kind == .answer || reply.kind == .result) && !TextBlock.hasOpenFence(reply.text)
    }

    /// Returns true if the message can be appended to another one.
    func mayFollow(_ first: Item) -> Bool {
        isPlainText && first.isPlainText && entry.address == first.entry.address
            && entry.reply.style == first.entry.reply.style
    }
}

/// The pending messages by queue, and the decision which of them can be sent next. It has no side effects: its user
/// sends and stores messages.
struct DeliveryState: Sendable {
    /// The next step for a queue.
    enum Step {
        /// Send this message.
        case send(Item)
        /// Load the messages after the first number, through the second, from the store.
        case load(after: Int64, through: Int64)
        /// Wait until the store has made progress; ``advance(isTaking:)`` then returns the queue.
        case wait
    }

    private struct QueueState {
        var items: Deque<Item> = []
        /// The part of the queue that is only in the store: after the first number, up to the second.
        var stored: (after: Int64, through: Int64)?
        var isWorking = false
        /// True if an attempt failed, so that messages may be merged until the queue is empty.
        var isHeldUp = false
    }

    private let limits: Delivery.Limits
    private var queues: [DeliveryQueue: QueueState] = [:]
    /// The queues that wait for the store.
    private var blocked: Set<DeliveryQueue> = []
    private var last: Int64
    /// The highest number of the earlier run.
    private let restored: Int64
    private var isTaking = true
    /// The closures of messages that are only in the store, by number.
    private var callbacks: [Int64: @Sendable () -> Void] = [:]
    private(set) var waiting = 0
    /// The number of in-flight messages of each backend: sent, or being sent, while the store does not know the
    /// outcome.
    var inFlight: [String: Int] = [:]
    /// The numbers of the messages that were read from the store and not sent, because they may be read again.
    private var present: Set<Int64> = []
    /// The number of running calls that revive dead letters.
    private var revivals = 0
    /// The numbers of the messages that ended during these calls, which may already have read them as revived.
    private var endedMeanwhile: Set<Int64> = []
    /// The numbers of the messages that are being sent.
    private var sending: Set<Int64> = []
    /// Those of them that were given up meanwhile.
    private var givenUp: Set<Int64> = []
    /// The queues whose last message became a dead letter.
    private var unreachable: Set<DeliveryQueue> = []

    /// - Parameters:
    ///   - last: the highest number in the store.
    ///   - queues: the queues that have pending messages in the store.
    init(last: Int64, queues: [DeliveryQueue], limits: Delivery.Limits) {
        self.last = last
        restored = last
        self.limits = limits
        for queue in queues {
            self.queues[queue] = QueueState(stored: (0, last), isWorking: true)
        }
    }

    /// Adds a message at the end of its queue.
    /// - Parameters:
    ///   - isStoredAtOnce: true to store the message even if the queue is empty.
    ///   - store: stores the message.
    /// - Returns: True if the queue is idle, so that the caller has to start working on it.
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

    /// Returns the number after which the messages of a queue are only in the store; nil if there is space in memory.
    private func storedAfter(_ queue: DeliveryQueue) -> Int64? {
        // Even while writes are failing, the message has to wait behind those that are only in the store.
        if let stored = queues[queue]?.stored { return stored.after }
        guard isTaking, let count = queues[queue]?.items.count, count >= limits.memory else { return nil }
        return queues[queue]?.items.last?.entry.number
    }

    /// Begins a call that revives dead letters.
    mutating func beginReviving() { revivals += 1 }

    /// Ends a call that revives dead letters.
    mutating func endReviving() {
        revivals -= 1
        guard revivals == 0 else { return }
        present.subtract(endedMeanwhile)
        endedMeanwhile = []
    }

    /// Adds a revived message, which may have any number.
    /// - Returns: True if the queue is idle; see ``add(_:isStoredAtOnce:store:)``.
    mutating func takeUp(_ item: Item) -> Bool {
        let queue = item.entry.queue
        guard present.insert(item.entry.number).inserted else { return false }
        waiting += 1
        let isIdle = isIdle(queue)
        queues[queue, default: QueueState()].items.append(item)
        if isIdle { queues[queue]?.isWorking = true }
        return isIdle
    }

    /// Returns the next step for a queue; nil if it is empty. The caller works on the queue until then.
    mutating func next(in queue: DeliveryQueue) -> Step? {
        if let item = queues[queue]?.items.first {
            guard mayBeSent(item) else {
                queues[queue]?.isWorking = false
                blocked.insert(queue)
                return .wait
            }
            queues[queue]?.items.removeFirst()
            begin(item)
            return .send(item)
        }
        if let stored = queues[queue]?.stored { return .load(after: stored.after, through: stored.through) }
        queues[queue] = nil
        return nil
    }

    /// Takes the messages that can be merged with an item that was taken before.
    /// - Parameter room: the number of scalars that are left in the message.
    mutating func following(_ first: Item, in queue: DeliveryQueue, room: Int) -> [Item] {
        guard queues[queue]?.isHeldUp == true else { return [] }
        var found: [Item] = []
        var room = room
        while let item = queues[queue]?.items.first, item.mayFollow(first), mayBeSent(item) {
            room -= item.entry.reply.text.unicodeScalars.count + Delivery.margin
            guard room >= 0 else { break }
            queues[queue]?.items.removeFirst()
            begin(item)
            found.append(item)
        }
        return found
    }

    private mutating func begin(_ item: Item) {
        if item.isStored { inFlight[item.entry.queue.backend, default: 0] += 1 }
        sending.insert(item.entry.number)
    }

    mutating func note(isHeldUp: Bool, in queue: DeliveryQueue) {
        queues[queue, default: QueueState()].isHeldUp = isHeldUp
    }

    private func mayBeSent(_ item: Item) -> Bool {
        !isTaking || !item.isStored || inFlight[item.entry.address.backend, default: 0] < limits.inFlight
    }

    /// Adds messages that were read from the store: all messages of the queue through that number.
    mutating func loaded(_ entries: [OutboxEntry], through reached: Int64, into queue: DeliveryQueue) {
        guard let stored = queues[queue]?.stored else { return }
        for entry in entries where present.insert(entry.number).inserted {
            var item = Item(entry)
            item.sent = callbacks.removeValue(forKey: entry.number)
            queues[queue]?.items.append(item)
            if entry.number <= restored { waiting += 1 }
        }
        // Further messages may have been stored in the meantime.
        queues[queue]?.stored = reached < stored.through ? (reached, stored.through) : nil
    }

    /// Records the progress of the store.
    /// - Parameter isTaking: false if writes are failing.
    /// - Returns: The queues that the caller has to continue.
    mutating func advance(isTaking: Bool) -> [DeliveryQueue] {
        self.isTaking = isTaking
        return wake()
    }

    /// Records that a message is no longer in flight because it was not sent.
    /// - Returns: The queues that the caller has to continue.
    mutating func notSent(on backend: String) -> [DeliveryQueue] {
        inFlight[backend, default: 1] -= 1
        return wake()
    }

    /// True if queues wait for the store.
    var hasBlockedQueues: Bool { !blocked.isEmpty }

    /// Returns the queues that waited for the store and can continue. The caller has to continue them.
    mutating func wake() -> [DeliveryQueue] {
        if blocked.isEmpty { return [] }
        let ready = blocked.filter { queue in queues[queue]?.items.first.map { mayBeSent($0) } ?? true }
        for queue in ready {
            blocked.remove(queue)
            queues[queue]?.isWorking = true
        }
        return Array(ready)
    }

    /// The number of messages in memory.
    var inMemory: Int { queues.values.reduce(0) { $0 + $1.items.count } }

    /// Puts a message that was not sent back at the head of its queue.
    mutating func putBack(_ item: Item) {
        sending.remove(item.entry.number)
        queues[item.entry.queue, default: QueueState()].items.prepend(item)
    }

    /// Removes and returns all messages in memory. Those that are being sent no longer count as pending, and end with
    /// this attempt.
    mutating func giveUp() -> [Item] {
        var removed: [Item] = []
        for queue in Array(queues.keys) {
            removed += queues[queue]?.items ?? []
            queues[queue]?.items = []
        }
        waiting -= removed.count + sending.subtracting(givenUp).count
        givenUp.formUnion(sending)
        return removed.sorted { $0.entry.number < $1.entry.number }
    }

    /// Returns true if a message that is being sent was given up.
    func isGivenUp(_ item: Item) -> Bool { givenUp.contains(item.entry.number) }

    /// Removes a message that was sent.
    mutating func sent(_ entry: OutboxEntry) {
        end(entry)
        if !unreachable.isEmpty { unreachable.remove(entry.queue) }
    }

    /// Removes a message that became a dead letter. Returns true if it is the first since a message of its queue was
    /// sent.
    mutating func died(_ entry: OutboxEntry) -> Bool {
        end(entry)
        return unreachable.insert(entry.queue).inserted
    }

    private mutating func end(_ entry: OutboxEntry) {
        sending.remove(entry.number)
        if givenUp.isEmpty || givenUp.remove(entry.number) == nil { waiting -= 1 }
        if revivals > 0 {
            present.insert(entry.number)
            endedMeanwhile.insert(entry.number)
        } else if !present.isEmpty {
            present.remove(entry.number)
        }
    }
}
