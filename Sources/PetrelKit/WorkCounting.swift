/// A module or a backend that goes on working on requests after they were acknowledged.
public protocol WorkCounting: Sendable {
    /// Returns the number of accepted requests whose work is not done.
    func pendingWork() async -> Int
}
