package import Foundation
import PetrelSupport

/// A reply on its way.
package struct Parcel: Sendable {
    /// Rising in the order in which things were said.
    package var number: Int64
    package var reply: Reply
    package var address: Address
    package var said: Date
    /// How many pieces of a long text were sent.
    package var pieces: Int

    package init(number: Int64, reply: Reply, address: Address, said: Date, pieces: Int = 0) {
        self.number = number
        self.reply = reply
        self.address = address
        self.said = said
        self.pieces = pieces
    }

    package var lane: Lane { Lane(backend: address.backend, place: address.place) }
}

/// Where order is kept: one place on one backend.
package struct Lane: Hashable, Sendable {
    package var backend: String
    package var place: Address.Place

    package init(backend: String, place: Address.Place) {
        self.backend = backend
        self.place = place
    }
}

/// A reply that no backend will take.
package struct DeadLetter: Sendable {
    package var parcel: Parcel
    package var reason: String

    package init(_ parcel: Parcel, reason: String) {
        self.parcel = parcel
        self.reason = reason
    }
}

/// A parcel on its way into the store. One that is sent before the store comes to it is never written there.
package final class Keeping: Sendable {
    private enum Fate {
        case waits
        case written
        case sent(written: @Sendable () -> Void)
        /// The store could not take it any more.
        case lost
    }

    private let state = Locked((fate: Fate.waits, change: 0))

    package init() {}

    /// Its place in the queue of what is to be written.
    package var change: Int {
        get { state.withLock { $0.change } }
        set { state.withLock { $0.change = newValue } }
    }

    /// The store comes to it. Returns whether it has to be written.
    package func isToBeWritten() -> Bool {
        state.withLock { state in
            if case .sent = state.fate { return false }
            state.fate = .written
            return true
        }
    }

    /// It was sent. Returns false where the store has it, so that it has to be removed there.
    /// - Parameter written: called when the store has what came with it.
    package func sent(written: @escaping @Sendable () -> Void) -> Bool {
        let fate = state.withLock { state in
            let fate = state.fate
            if case .waits = fate { state.fate = .sent(written: written) }
            return fate
        }
        if case .lost = fate { written() }
        if case .written = fate { return false }
        return true
    }

    /// The store is done with it.
    package func settled() {
        let fate = state.withLock { state in
            defer { if case .waits = state.fate { state.fate = .lost } }
            return state.fate
        }
        if case .sent(let written) = fate { written() }
    }
}

/// The messages that the bot has still to send, in a store. Changes are written within milliseconds, in the order of the
/// calls; while writes are failing they are buffered in memory and retried.
package typealias Outbox = OutboxReading & OutboxWriting & OutboxProgress & DeadLetterReviving

/// Reads the messages that are pending.
package protocol OutboxReading: Sendable {
    /// Returns the highest number of any message, or 0 if there is none.
    func lastNumber() throws -> Int64
    /// Returns the places that have pending messages.
    func lanes() throws -> [Lane]
    /// Returns pending messages, of all places or of one, in the order of their numbers.
    ///
    /// Throws if the result would be empty while writes are failing, because messages may still be in memory then.
    func waiting(in lane: Lane?, after number: Int64, through last: Int64, limit: Int) async throws -> [Parcel]
}

/// Writes messages, and the outcome of sending them.
package protocol OutboxWriting: Sendable {
    /// Adds a message, and returns the write that is pending.
    /// - Parameter receipt: records that are written in the same transaction, for the module of that name.
    func keep(_ parcel: Parcel, _ receipt: Receipt?, of module: String) -> Keeping
    /// Updates the number of pieces of a long text that were sent.
    func note(pieces: Int, of number: Int64, written: @escaping @Sendable () -> Void)
    /// Removes a message that was sent.
    /// - Parameter keeping: the pending write of the message; nil for a message that was read from the store.
    func remove(_ number: Int64, _ keeping: Keeping?, written: @escaping @Sendable () -> Void)
    /// Makes a message that can never be sent a dead letter.
    func bury(_ number: Int64, reason: String, written: @escaping @Sendable () -> Void)
}

/// Reports and speeds up the progress of writes.
package protocol OutboxProgress: Sendable {
    /// Adds an observer, which is called after each transaction with true and after each failed write with false.
    func observe(_ progress: @escaping @Sendable (_ isTaking: Bool) -> Void)
    /// Writes the outcomes of sending now, because a caller waits for them.
    func hurry()
}

/// Hands over dead letters that an operator wants to be sent again.
package protocol DeadLetterReviving: Sendable {
    /// Makes the dead letters that another process marked with ``DeadLetterManaging/retry(_:)`` pending again, and
    /// returns them.
    func revived() async throws -> [Parcel]
}

/// Lists dead letters and decides on them.
package protocol DeadLetterManaging: Sendable {
    /// Returns dead letters, the oldest first.
    func deadLetters(limit: Int) async throws -> [DeadLetter]
    /// Marks a dead letter, or all if `number` is nil, to be sent again. Returns the number of marked letters.
    func retry(_ number: Int64?) async throws -> Int
    /// Removes a dead letter, or all if `number` is nil. Returns the number of removed letters.
    func drop(_ number: Int64?) async throws -> Int
}
