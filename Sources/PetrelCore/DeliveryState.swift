import DequeModule
import Foundation
import PetrelKit

/// A parcel as it waits in memory.
struct Item: Sendable {
    var parcel: Parcel
    /// It is in the store, or on its way there.
    var isKept = false
    /// Its way there; nil for what came out of it.
    var keeping: Keeping?
    /// When it was said, by a clock that does not jump.
    var since: ContinuousClock.Instant
    var attempts = 0
    var sent: (@Sendable () -> Void)?

    init(_ reply: Reply, _ address: Address, age: Duration = .zero) {
        let seconds = age / .seconds(1)
        parcel = Parcel(number: 0, reply: reply, address: address, said: Date(timeIntervalSinceNow: -seconds))
        since = .now - age
    }

    /// Out of the store.
    init(_ parcel: Parcel) {
        self.parcel = parcel
        isKept = true
        since = .now - .seconds(max(0, Date.now.timeIntervalSince(parcel.said)))
    }
}

extension Item {
    /// Whether it is only a text, which may stand below another one.
    private var isPlainText: Bool {
        let reply = parcel.reply
        return parcel.pieces == 0 && !reply.text.isEmpty && reply.extra.isEmpty && reply.buttons.isEmpty
            && reply.form == nil && reply.handle == nil && !reply.isPrivate && !reply.isConfidential
            && reply.promises == nil
            && (reply.kind == .answer || reply.kind == .result) && !TextBlock.hasOpenFence(reply.text)
    }

    func mayFollow(_ first: Item) -> Bool {
        isPlainText && first.isPlainText && parcel.address == first.parcel.address
            && parcel.reply.style == first.parcel.reply.style
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

    private struct LaneState {
        var items: Deque<Item> = []
        /// The part of the lane that is only in the store: after the first number, up to the second.
        var stored: (after: Int64, through: Int64)?
        var isWorking = false
        /// Something had to wait, and what waits behind it may come together, until the lane is empty.
        var isHeldUp = false
    }

    private let limits: Delivery.Limits
    private var lanes: [Lane: LaneState] = [:]
    /// Lanes that wait for the store.
    private var blocked: Set<Lane> = []
    private var last: Int64
    /// The highest number of an earlier run.
    private let restored: Int64
    private var isTaking = true
    /// Whom to tell of parcels that are only in the store.
    private var callbacks: [Int64: @Sendable () -> Void] = [:]
    private(set) var waiting = 0
    /// Of each backend: sent, and the store does not know yet.
    var unsure: [String: Int] = [:]
    /// What came out of the store and was not sent: it may be read there again.
    private var present: Set<Int64> = []
    /// While letters are revived: what was sent meanwhile may have been read as revived before.
    private var revivals = 0
    private var endedMeanwhile: Set<Int64> = []
    /// Places that nothing can be sent to.
    private var deadLanes: Set<Lane> = []

    /// - Parameters:
    ///   - last: the highest number that the store knows.
    ///   - lanes: where something waits in the store.
    init(last: Int64, lanes: [Lane], limits: Delivery.Limits) {
        self.last = last
        restored = last
        self.limits = limits
        for lane in lanes {
            self.lanes[lane] = LaneState(stored: (0, last), isWorking: true)
        }
    }

    /// Adds at the end of a lane.
    /// - Parameter isKeptAtOnce: also where it has not to wait behind others.
    /// - Returns: whether nobody works on the lane, so that the caller has to start that.
    mutating func add(_ item: Item, isKeptAtOnce: Bool, keep: (Parcel) -> Keeping) throws -> Bool {
        guard waiting < limits.total else { throw OutboxFull(waiting: waiting) }
        var item = item
        last += 1
        item.parcel.number = last
        let lane = item.parcel.lane
        let isIdle = isIdle(lane)
        let mayBeKept = !item.parcel.reply.isConfidential && item.parcel.reply.isVisible
        item.isKept = mayBeKept && (isKeptAtOnce || !isIdle)
        if item.isKept { item.keeping = keep(item.parcel) }
        waiting += 1
        if item.isKept, let after = storedAfter(lane) {
            lanes[lane]?.stored = (after, last)
            callbacks[last] = item.sent
        } else {
            lanes[lane, default: LaneState()].items.append(item)
        }
        if isIdle { lanes[lane]?.isWorking = true }
        return isIdle
    }

    private func isIdle(_ lane: Lane) -> Bool { lanes[lane]?.isWorking != true && !blocked.contains(lane) }

    /// The number after which a lane is only in the store; nil where it has room in memory.
    private func storedAfter(_ lane: Lane) -> Int64? {
        // Whatever the disk does: it waits behind what is there already.
        if let stored = lanes[lane]?.stored { return stored.after }
        guard isTaking, let count = lanes[lane]?.items.count, count >= limits.memory else { return nil }
        return lanes[lane]?.items.last?.parcel.number
    }

    mutating func beginReviving() { revivals += 1 }

    mutating func endReviving() {
        revivals -= 1
        guard revivals == 0 else { return }
        present.subtract(endedMeanwhile)
        endedMeanwhile = []
    }

    /// Adds what is in the store already, whatever its number.
    /// - Returns: as ``add(_:isKeptAtOnce:keep:)`` does.
    mutating func takeUp(_ item: Item) -> Bool {
        let lane = item.parcel.lane
        guard present.insert(item.parcel.number).inserted else { return false }
        waiting += 1
        let isIdle = isIdle(lane)
        lanes[lane, default: LaneState()].items.append(item)
        if isIdle { lanes[lane]?.isWorking = true }
        return isIdle
    }

    /// What to do next in a lane; nil when nothing waits there. The caller works on it until then.
    mutating func next(in lane: Lane) -> Step? {
        if let item = lanes[lane]?.items.first {
            guard mayBeSent(item) else {
                lanes[lane]?.isWorking = false
                blocked.insert(lane)
                return .wait
            }
            lanes[lane]?.items.removeFirst()
            if item.isKept { unsure[lane.backend, default: 0] += 1 }
            return .send(item)
        }
        if let stored = lanes[lane]?.stored { return .load(after: stored.after, through: stored.through) }
        lanes[lane] = nil
        return nil
    }

    /// What may be sent together with an item that was taken just now.
    /// - Parameter room: characters that are left for it.
    mutating func following(_ first: Item, in lane: Lane, room: Int) -> [Item] {
        guard lanes[lane]?.isHeldUp == true else { return [] }
        var found: [Item] = []
        var room = room
        while let item = lanes[lane]?.items.first, item.mayFollow(first), mayBeSent(item) {
            room -= item.parcel.reply.text.unicodeScalars.count + Delivery.margin
            guard room >= 0 else { break }
            lanes[lane]?.items.removeFirst()
            if item.isKept { unsure[lane.backend, default: 0] += 1 }
            found.append(item)
        }
        return found
    }

    mutating func note(isHeldUp: Bool, in lane: Lane) { lanes[lane, default: LaneState()].isHeldUp = isHeldUp }

    private func mayBeSent(_ item: Item) -> Bool {
        !isTaking || !item.isKept || unsure[item.parcel.address.backend, default: 0] < limits.unsure
    }

    /// What came out of the store for a lane: all of it up to that number.
    mutating func loaded(_ parcels: [Parcel], through reached: Int64, into lane: Lane) {
        guard let stored = lanes[lane]?.stored else { return }
        for parcel in parcels where present.insert(parcel.number).inserted {
            var item = Item(parcel)
            item.sent = callbacks.removeValue(forKey: parcel.number)
            lanes[lane]?.items.append(item)
            if parcel.number <= restored { waiting += 1 }
        }
        // More may have come there meanwhile.
        lanes[lane]?.stored = reached < stored.through ? (reached, stored.through) : nil
    }

    /// The store has come further.
    /// - Returns: the lanes that may go on; the caller starts that.
    mutating func advance(isTaking: Bool) -> [Lane] {
        self.isTaking = isTaking
        return wake()
    }

    /// One parcel is no longer unsure: it was not sent.
    mutating func notSent(on backend: String) -> [Lane] {
        unsure[backend, default: 1] -= 1
        return wake()
    }

    private mutating func wake() -> [Lane] {
        if blocked.isEmpty { return [] }
        let ready = blocked.filter { lane in lanes[lane]?.items.first.map { mayBeSent($0) } ?? true }
        for lane in ready {
            blocked.remove(lane)
            lanes[lane]?.isWorking = true
        }
        return Array(ready)
    }

    var inMemory: Int { lanes.values.reduce(0) { $0 + $1.items.count } }

    mutating func putBack(_ item: Item) { lanes[item.parcel.lane, default: LaneState()].items.prepend(item) }

    mutating func sent(_ parcel: Parcel) {
        end(parcel)
        if !deadLanes.isEmpty { deadLanes.remove(parcel.lane) }
    }

    /// Returns whether it is the first in its lane since something was sent there.
    mutating func died(_ parcel: Parcel) -> Bool {
        end(parcel)
        return deadLanes.insert(parcel.lane).inserted
    }

    private mutating func end(_ parcel: Parcel) {
        waiting -= 1
        if revivals > 0 {
            present.insert(parcel.number)
            endedMeanwhile.insert(parcel.number)
        } else if !present.isEmpty {
            present.remove(parcel.number)
        }
    }
}
