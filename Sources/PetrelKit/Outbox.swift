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

/// Keeps what is to be said until it was said. Changes are written within milliseconds, in the order of the calls; what
/// the store does not take at the moment waits in memory and is tried again.
package protocol Outbox: Sendable {
    /// Called each time that the store has come further, and each time that it took nothing.
    func observe(_ progress: @escaping @Sendable (_ isTaking: Bool) -> Void)
    /// The highest number that was given to a parcel.
    func lastNumber() throws -> Int64
    /// Where something waits.
    func lanes() throws -> [Lane]
    /// - Parameter receipt: written in the same transaction, to the module's space.
    func keep(_ parcel: Parcel, _ receipt: Receipt?, of module: String) -> Keeping
    /// Somebody waits until the store knows what became of the parcels that were sent.
    func hurry()
    /// So many pieces of a long text were sent.
    func note(pieces: Int, of number: Int64, written: @escaping @Sendable () -> Void)
    /// It was sent.
    /// - Parameter keeping: nil for what came out of the store.
    func remove(_ number: Int64, _ keeping: Keeping?, written: @escaping @Sendable () -> Void)
    /// It can never be sent.
    func bury(_ number: Int64, reason: String, written: @escaping @Sendable () -> Void)
    /// Parcels that wait, in their order: in all lanes, or in one. Throws where there is none only because the store takes
    /// nothing at the moment.
    func waiting(in lane: Lane?, after number: Int64, through last: Int64, limit: Int) async throws -> [Parcel]
    /// Dead letters that somebody wants to be sent again, by another process.
    func revived() async throws -> [Parcel]
    func deadLetters(limit: Int) async throws -> [DeadLetter]
    /// Sends a dead letter again, or all of them. Returns how many.
    func retry(_ number: Int64?) async throws -> Int
    /// Drops a dead letter, or all of them. Returns how many.
    func drop(_ number: Int64?) async throws -> Int
}
