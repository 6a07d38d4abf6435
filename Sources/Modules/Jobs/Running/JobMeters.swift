import CoreMetrics
import PetrelSupport

/// The metrics of jobs.
struct JobMeters: Sendable {
    let received: Counter
    let rejected: Counter
    let accepted: Counter
    let aliased: Counter
    let unknown: Counter
    let logLines: Counter
    private let factory: any MetricsFactory

    init(_ factory: any MetricsFactory) {
        func counter(_ name: String) -> Counter { Counter(label: name, dimensions: [], factory: factory) }
        received = counter("petrel_jobs_received_total")
        rejected = counter("petrel_jobs_rejected_total")
        accepted = counter("petrel_jobs_accepted_total")
        aliased = counter("petrel_jobs_aliased_total")
        unknown = counter("petrel_jobs_unknown_total")
        logLines = counter("petrel_jobs_log_lines_total")
        self.factory = factory
    }

    /// Counts the end of a job.
    func ended(_ job: JobRecord) {
        let status = job.status.rawValue.lowercased()
        Counter(label: "petrel_jobs_ended_total", dimensions: [("status", status)], factory: factory).increment()
        let seconds = job.duration()
        Timer(
            label: "petrel_job_duration_seconds", dimensions: [("command", job.command), ("status", status)],
            factory: factory
        ).recordNanoseconds(Int64(clampingWhole: seconds * 1e9))
    }

    static let help = [
        "petrel_jobs_received_total": "Lines that call a command of jobs.",
        "petrel_jobs_rejected_total": "Calls that were denied, or refused because of their arguments or a full queue.",
        "petrel_jobs_accepted_total": "Jobs that were accepted.",
        "petrel_jobs_aliased_total": "Lines that began with an alias.",
        "petrel_jobs_unknown_total": "Lines that are no command.",
        "petrel_jobs_log_lines_total": "Lines that jobs have printed.",
        "petrel_jobs_ended_total": "Jobs that ended, by their status.",
        "petrel_job_duration_seconds": "The durations of jobs.",
        "petrel_jobs_running": "Jobs that run.",
        "petrel_jobs_queued": "Jobs that wait.",
    ]
}
