/// The point in time by which a sequence of calls must end.
package struct Deadline: Sendable {
    /// The point in time.
    package let instant: ContinuousClock.Instant
    /// The time from the start of the sequence, for messages.
    package let limit: Duration

    /// Creates a deadline that is a duration from now.
    package init(after limit: Duration) {
        self.limit = limit
        instant = .now + limit
    }

    /// The time that is left; zero if the deadline has passed.
    package var remaining: Duration { max(.zero, ContinuousClock.now.duration(to: instant)) }

    /// Runs some work, and cancels it at the deadline.
    /// - Parameter late: Returns the error to throw then.
    func enforce<Value: Sendable>(
        orThrow late: @Sendable () -> AWSError, _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await work() }
            group.addTask {
                try await Task.sleep(until: instant, clock: .continuous)
                return nil
            }
            defer { group.cancelAll() }
            guard let value = try await group.next() ?? nil else { throw late() }
            return value
        }
    }
}
