import Foundation
import Logging
import PetrelKit
import PetrelSupport

extension JobCenter {
    /// The time between two checks of what is older than the retention settings.
    private static let trimming = Duration.seconds(300)

    /// Finds the number of the last job, and ends the jobs that ran when the process died.
    func restore() async throws {
        try await book.restore()
        let running = Set(book.active.map(\.id))
        for var job in try await book.unsaid() where !running.contains(job.id) {
            if !job.status.isFinal {
                job.reason =
                    job.started == nil ? "Petrel ended before it started" : "Petrel ended while it was running"
                job.status = .killed
                job.ended = .now
                try book.replace(job)
                meters.ended(job)
            }
            await say(resultOf: job, format(of: job.command))
        }
    }

    private func format(of command: String) -> ReplyFormat {
        let settings = settings
        return settings.commands.first { $0.name.utf8.elementsEqual(command.utf8) }?.format ?? settings.format
    }

    /// Removes old jobs and old output at intervals, until it is cancelled.
    func keepTrimming() async {
        repeat {
            do {
                try await trim()
            } catch {
                host.logger.error("Old jobs cannot be removed: \(error)")
            }
            // Sleeping fails only if the task is cancelled.
        } while (try? await Task.sleep(for: Self.trimming)) != nil
    }

    /// Removes the jobs and the output that exceed the retention settings.
    func trim() async throws {
        let settings = settings
        let end = Date.now - TimeInterval(settings.retentionDays) * 86_400
        _ = try await book.purge(before: end, logs)
        try await logs.trim(before: end)
        try await logs.trim(toBytes: settings.retentionBytes)
    }
}
