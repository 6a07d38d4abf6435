package import Foundation

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

/// How far the store has come with the outbox.
package struct OutboxProgress: Sendable {
    /// Every parcel up to this number that was to be kept is kept.
    package var kept: Int64
    /// False while the store takes nothing: what is to be kept waits in memory.
    package var isTaking: Bool

    package init(kept: Int64, isTaking: Bool) {
        self.kept = kept
        self.isTaking = isTaking
    }
}

/// Keeps what is to be said until it was said. Changes are written soon, in the order of the calls; what the store does
/// not take at the moment waits in memory and is tried again.
package protocol Outbox: Sendable {
    /// Tells how far the store has come, each time that it has come further.
    func observe(_ progress: @escaping @Sendable (OutboxProgress) -> Void)
    /// The highest number that was given to a parcel.
    func lastNumber() throws -> Int64
    /// Where something waits.
    func lanes() throws -> [Lane]
    /// - Parameters:
    ///   - receipt: written in the same transaction, to the module's space.
    ///   - isUrgent: it is not sent before it is kept.
    func keep(_ parcel: Parcel, _ receipt: Receipt?, of module: String, isUrgent: Bool)
    /// Somebody waits for what was not written yet.
    func hurry()
    /// So many pieces of a long text were sent.
    func note(pieces: Int, of number: Int64, written: @escaping @Sendable () -> Void)
    /// It was sent.
    func remove(_ number: Int64, written: @escaping @Sendable () -> Void)
    /// It can never be sent.
    func bury(_ number: Int64, reason: String, written: @escaping @Sendable () -> Void)
    /// Parcels that wait, in their order: in all lanes, or in one.
    func waiting(in lane: Lane?, after number: Int64, limit: Int) async throws -> [Parcel]
    /// Dead letters that somebody wants to be sent again, by another process.
    func revived() async throws -> [Parcel]
    func deadLetters(limit: Int) async throws -> [DeadLetter]
    /// Sends a dead letter again, or all of them. Returns how many.
    func retry(_ number: Int64?) async throws -> Int
    /// Drops a dead letter, or all of them. Returns how many.
    func drop(_ number: Int64?) async throws -> Int
}
