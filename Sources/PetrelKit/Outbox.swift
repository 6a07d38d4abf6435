/// The messages that the bot has still to send, in a store. Changes are written within milliseconds, in the order of
/// the calls; while writes are failing they are buffered in memory and retried.
package typealias Outbox = OutboxReading & OutboxWriting & OutboxProgress & DeadLetterReviving

/// Reads the messages that are pending.
package protocol OutboxReading: Sendable {
    /// Returns the highest number of any message, or 0 if none exists.
    func lastNumber() throws -> Int64
    /// Returns the queues that have pending messages.
    func queues() throws -> [DeliveryQueue]
    /// Returns pending messages, of all queues or of one, in the order of their numbers.
    ///
    /// Throws if the result would be empty while writes are failing, because messages may still be in memory then.
    func pending(in queue: DeliveryQueue?, after number: Int64, through last: Int64, limit: Int) async throws
        -> [OutboxEntry]
}

/// Writes messages, and the outcome of sending them.
package protocol OutboxWriting: Sendable {
    /// Adds a message, and returns the write that is pending.
    /// - Parameter transaction: records that are written in the same transaction, for the module of that name.
    func add(_ entry: OutboxEntry, _ transaction: MessageTransaction?, of module: String) -> PendingWrite
    /// Updates the number of pieces of a long text that were sent.
    func update(pieces: Int, of number: Int64, written: @escaping @Sendable () -> Void)
    /// Removes a message that was sent.
    /// - Parameter pendingWrite: the result of ``add(_:_:of:)``; nil for a message that was read from the store.
    func remove(_ number: Int64, _ pendingWrite: PendingWrite?, written: @escaping @Sendable () -> Void)
    /// Turns a message that can never be sent into a dead letter.
    func markDead(_ number: Int64, reason: String, written: @escaping @Sendable () -> Void)
}

/// Reports and speeds up the progress of writes.
package protocol OutboxProgress: Sendable {
    /// Adds an observer, which is called after each transaction with true and after each failed write with false.
    func observe(_ progress: @escaping @Sendable (_ isTaking: Bool) -> Void)
    /// Writes the outcomes of sending now, and returns once they are stored or writes are failing.
    func flush() async
}

/// Hands over dead letters that an operator wants to be sent again.
package protocol DeadLetterReviving: Sendable {
    /// Makes the dead letters that another process marked with ``DeadLetterManaging/retry(_:)`` pending again, and
    /// returns them.
    func takeRevived() async throws -> [OutboxEntry]
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
