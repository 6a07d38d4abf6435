import GRDB

/// The write lock of a database, which another program holds, such as a backup.
package final class WriteLock: Sendable {
    private let other: DatabaseQueue

    /// Opens the database at this path.
    package init(on path: String) throws {
        var configuration = Configuration()
        // The transaction remains open between two accesses.
        configuration.allowsUnsafeTransactions = true
        other = try DatabaseQueue(path: path, configuration: configuration)
    }

    /// Takes the lock.
    package func take() async throws {
        try await other.writeWithoutTransaction { try $0.execute(sql: "BEGIN IMMEDIATE") }
    }

    /// Releases the lock.
    package func release() async throws { try await other.writeWithoutTransaction { try $0.execute(sql: "COMMIT") } }
}
