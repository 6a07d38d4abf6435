import Foundation
import Logging
import PetrelCore
import PetrelStore
import ServiceLifecycle

/// A service that removes records after their retention period, sends the dead letters that `petrel outbox retry` has
/// revived, and flushes the store at shutdown.
struct StoreKeeping: Service {
    private static let purging = Duration.seconds(3_600)
    private static let reviving = Duration.seconds(10)
    private static let trimming = Duration.seconds(15)
    /// The maximum number of ledger entries. Usually modules remove entries earlier, unless the source of their events
    /// is not available.
    private static let ledger: Int64 = 500_000

    let store: Store
    let delivery: Delivery
    let days: Int
    let logger: Logger
    var clock: any Clock<Duration> = ContinuousClock()

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup { group in
                group.addTask { await repeatedly(every: Self.purging) { try await purge() } }
                group.addTask { await repeatedly(every: Self.reviving) { try await delivery.revive() } }
                group.addTask { await repeatedly(every: Self.trimming) { Memory.trim() } }
            }
        }
        guard await store.written() else {
            return logger.critical("Database writes are failing: changes that are buffered in memory are lost.")
        }
    }

    private func purge() async throws {
        let end = Date.now - TimeInterval(days) * 86_400
        try await store.audit.purge(before: end)
        try await store.outbox.purge(before: end)
        try await store.purgeSecrets(before: end)
        try await store.purgeLedger(keeping: Self.ledger)
    }

    private func repeatedly(every pause: Duration, _ work: () async throws -> Void) async {
        while !Task.isCancelled {
            do {
                try await work()
            } catch {
                logger.error("The maintenance of the store failed: \(error)")
            }
            // Sleeping fails only if the task is cancelled, which the loop checks.
            try? await clock.sleep(for: pause)
        }
    }
}
