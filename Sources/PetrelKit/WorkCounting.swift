/// A module or a backend that goes on working on requests after they were acknowledged.
public protocol WorkCounting: Sendable {
    /// Returns the number of accepted requests whose work is not done.
    func pendingWork() async -> Int
}

/// A module that can end its work before the process is stopped from outside.
public protocol WorkEnding: BotModule {
    /// Ends the work that is pending, and tells the people who wait for it.
    /// - Parameter reason: The reason, as a clause.
    func endWork(_ reason: String)
}
