import Foundation
import Logging
import PetrelStore
import ServiceLifecycle

/// Writes the audit, and removes what is older than the retention allows.
struct StoreKeeping: Service {
    private static let interval = Duration.seconds(3_600)

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
                try await audit.purge(before: .now - TimeInterval(days) * 86_400)
            } catch {
                logger.error("The audit could not be cut to \(days) days: \(error)")
            }
            // Only cancellation ends a sleep early, and the loop looks for it.
            try? await Task.sleep(for: Self.interval)
        }
    }
}
