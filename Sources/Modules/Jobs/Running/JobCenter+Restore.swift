import Foundation
import JobEngine
import Logging
import PetrelKit
import PetrelSupport

extension JobCenter {
    /// The time between two checks of what is older than the retention settings.
    private static let trimming = Duration.seconds(300)

    /// Reads what earlier runs have stored, and ends the jobs that ran when the process died. Tries again until it
    /// succeeds or the task is cancelled.
    /// - Parameter tried: a closure that is called after the first attempt.
    func restore(tried: @Sendable () -> Void) async {
        var policy = Backoff()
        var random = SystemRandomNumberGenerator()
        while await !isRestored() {
            tried()
            // Sleeping fails only if the task is cancelled.
            guard (try? await Task.sleep(for: policy.pause(using: &random))) != nil else { return }
        }
        tried()
    }

    private func isRestored() async -> Bool {
        do {
            try await book.restore()
            try await aliases.restore()
            try await tokens.restore()
            try await endOldJobs()
            await completeOldConfirmations()
            restoreProblem.withLock { $0 = nil }
            return true
        } catch {
            if Task.isCancelled { return false }
            restoreProblem.withLock { $0 = "\(error)" }
            host.logger.error("The stored jobs, aliases and tokens cannot be read: \(error)")
            return false
        }
    }

    /// Says the results of earlier runs that were not said, and ends the jobs that ran when the process died.
    private func endOldJobs() async throws {
        for var job in try await book.unsaid() {
            if !job.status.isFinal {
                job.reason =
                    job.started == nil
                    ? "Petrel ended while the job waited, or when it was about to start"
                    : "Petrel ended while it was running"
                job.status = .killed
                job.ended = .now
                end(leftoverOf: &job)
                try book.replace(job)
                meters.ended(job)
            }
            await say(resultOf: job, format(of: job.command))
        }
    }

    /// Ends the program of a job that survived the death of Petrel. Nothing reads its output any more.
    private func end(leftoverOf job: inout JobRecord) {
        guard let process = job.process else { return }
        let (id, logger) = (job.id, host.logger)
        let program = LeftoverProgram(
            leader: process, identity: job.processIdentity, variable: "PETREL_JOB_ID=\(id)")
        switch program.finding {
        case .gone: return
        case .unknown:
            job.note =
                "processes of the group \(process), which was that of the program, still run; they were not ended, "
                + "because they may belong to another program"
            logger.warning("Job \(id): \(job.note ?? "")")
        case .running:
            Task {
                if await program.end(grace: .seconds(5)) {
                    logger.notice("The program of job \(id) was still running after the death of Petrel; it was ended.")
                } else {
                    logger.warning(
                        "The program of job \(id) still runs after the death of Petrel, and cannot be ended: see the process group \(process)."
                    )
                }
            }
        }
    }

    private func format(of command: String) -> ReplyFormat {
        definitions.first { $0.name.utf8.elementsEqual(command.utf8) }?.format ?? settings.format
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

    /// The number of logs whose records are looked for at once.
    private static let pageSize = 100

    /// Removes the jobs and the output that exceed the retention settings. The output of a job that has not ended is
    /// removed only when the size of that of all such jobs exceeds the settings.
    func trim(at time: Date = .now) async throws {
        let settings = settings
        let end = time - TimeInterval(settings.retentionDays) * 86_400
        try await book.purge(before: end, logs)
        try await removeStrayLogs(before: end)
        try await logs.trim(toBytes: settings.retentionBytes, sparing: Set(book.active.map(\.key)))
    }

    /// Removes old logs that have no record. Others are removed with their records, however long ago they were written.
    private func removeStrayLogs(before time: Date) async throws {
        var last: String?
        while true {
            let names = try await logs.names(before: time, after: last, limit: Self.pageSize)
            for name in try await book.unrecorded(names) { try await logs.remove(name) }
            guard names.count == Self.pageSize else { return }
            last = names.last
        }
    }
}
