import Foundation
import Logging
import PetrelStore
import ServiceLifecycle

/// Writes the audit, and removes what is older than the retention allows.
struct StoreKeeping: Service {
    private static let interval = Duration.seconds(3_600)

    let store: Store
    let audit: AuditTable
    let days: Int
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup { group in
                group.addTask { await audit.run() }
                group.addTask { await purge() }
            }
        }
    }

    private func purge() async {
        while !Task.isCancelled {
            do {
                let end = Date.now - TimeInterval(days) * 86_400
                try await audit.purge(before: end)
                try await store.purgeSecrets(before: end)
            } catch {
                logger.error("The store could not be cut to \(days) days: \(error)")
            }
            // Only cancellation ends a sleep early, and the loop looks for it.
            try? await Task.sleep(for: Self.interval)
        }
    }
}
