import Foundation
import Logging
import PetrelCore
import PetrelStore
import ServiceLifecycle

/// Removes from the store what is older than the retention allows, takes up what `petrel outbox retry` revived, and
/// writes the last words at the end.
struct StoreKeeping: Service {
    private static let purging = Duration.seconds(3_600)
    private static let reviving = Duration.seconds(10)
    private static let trimming = Duration.seconds(15)
    /// Entries that are kept where StackStorm's history, which tells what may be forgotten, cannot be had.
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
            // Only cancellation ends a sleep early, and the loop looks for it.
            try? await clock.sleep(for: pause)
        }
    }
}
