import Foundation
import JobEngine
import PetrelKit
import PetrelSupport

extension JobCommands {
    /// Runs `jobs [-limit N] [-status S]`.
    func jobs(_ invocation: Invocation) async throws -> Reply {
        let flags = try Flags(invocation.arguments, valued: ["limit", "status"])
        try flags.refuseRest()
        let (limit, status) = (
            try flags.limit(lines: center.lineLimit(on: invocation.address.backend)), try flags.status()
        )
        let owner = (invocation.message.sender.id, invocation.address.backend)
        let search = try await center.book.newest(limit, of: owner) { status == nil || $0.status == status }
        var lines = search.jobs.map { JobLines.line($0, hidesRoom: false) }
        if lines.isEmpty { lines = ["No jobs found"] }
        if let end = search.end { lines.append(JobLines.limit(end)) }
        return answer(invocation, lines.joined(separator: "\n"))
    }

    /// Runs `job ID`.
    func job(_ invocation: Invocation) async throws -> Reply {
        let id = try Flags(invocation.arguments).requiredJob()
        return answer(invocation, JobLines.details(try await own(id, invocation), hidesRoom: false))
    }

    /// Runs `last`.
    func last(_ invocation: Invocation) async throws -> Reply {
        try Flags(invocation.arguments).refuseRest()
        return answer(invocation, JobLines.details(try await lastJob(invocation), hidesRoom: false))
    }

    /// Runs `auditjob ID`.
    func auditJob(_ invocation: Invocation) async throws -> Reply {
        let job = try await any(try Flags(invocation.arguments).requiredJob())
        return answer(
            invocation,
            JobLines.details(
                job, hidesRoom: JobLines.hidesRoom(of: job, from: CommandCaller(invocation)), namesPerson: true),
            isPrivate: true)
    }

    /// Runs `logs ID [-from PLACE]`.
    func logs(_ invocation: Invocation) async throws -> Reply {
        let flags = try Flags(invocation.arguments, valued: ["from"])
        return try await logs(of: try await own(try flags.requiredJob(), invocation), flags, "logs", invocation)
    }

    /// Runs `auditlogs ID [-from PLACE]`.
    func auditLogs(_ invocation: Invocation) async throws -> Reply {
        let flags = try Flags(invocation.arguments, valued: ["from"])
        return try await logs(of: try await any(try flags.requiredJob()), flags, "auditlogs", invocation)
    }

    private func logs(
        of job: JobRecord, _ flags: Flags, _ command: String, _ invocation: Invocation
    ) async throws -> Reply {
        var place: Int64 = 0
        if let text = flags.values["from"] {
            guard let number = Int64(text), number >= 0 else {
                throw Refusal("-from must be a number of bytes, not \(text).")
            }
            place = number
        }
        let limit = center.excerptLimit(on: invocation.address.backend)
        let lines = center.lineLimit(on: invocation.address.backend) ?? .max
        let excerpt = try await center.part(of: job, from: place, limit: limit, lines: lines, keepsStates: true)
        var notice = ""
        if place < excerpt.removed, excerpt.removed < excerpt.size { notice += excerpt.removalNotice }
        if excerpt.after > 0 {
            let next = center.line("\(command) \(job.id) -from \(excerpt.size - excerpt.after)")
            notice += "\n… \(Humanized.size(Double(excerpt.after))) after this: \(invocation.typed(next))"
        }
        if let reason = job.reason { notice += "\n\(job.status.rawValue): \(reason)" }
        if let note = job.note { notice += "\nNote: \(note)" }
        if excerpt.text.isEmpty { notice = Self.nothing(of: job, excerpt) + notice }
        return answer(invocation, excerpt.text, notice: notice, isPrivate: command == "auditlogs")
    }

    /// Returns the sentence about an output of which nothing is shown, on a line of its own.
    private static func nothing(of job: JobRecord, _ excerpt: OutputExcerpt) -> String {
        guard excerpt.size > 0 else { return "\nJob \(job.id) has printed nothing." }
        guard excerpt.removed < excerpt.size else {
            let size = Humanized.size(Double(excerpt.size))
            return "\nThe output of job \(job.id), \(size), was removed because of its age or size."
        }
        return "\nJob \(job.id) has printed \(excerpt.size) bytes."
    }

    /// Runs `tail [-limit N] [ID]` and `head [-limit N] [ID]`.
    func lines(_ invocation: Invocation, fromEnd: Bool) async throws -> Reply {
        let flags = try Flags(invocation.arguments, valued: ["limit"])
        let limit = try flags.limit(most: 10_000, lines: center.lineLimit(on: invocation.address.backend))
        let job: JobRecord
        if let id = try flags.job() { job = try await own(id, invocation) } else { job = try await lastJob(invocation) }
        let most = center.excerptLimit(on: invocation.address.backend)
        let excerpt = try await center.lines(limit, of: job, limit: most, fromEnd: fromEnd)
        if excerpt.text.isEmpty { return answer(invocation, "", notice: Self.nothing(of: job, excerpt)) }
        // Fewer lines than requested, because they have more bytes than a reply shows.
        if excerpt.isCut {
            return answer(
                invocation, excerpt.text, notice: excerpt.notice(invocation.typed(center.line("logs \(job.id)"))))
        }
        return answer(invocation, excerpt.text, notice: fromEnd ? "" : excerpt.removalNotice)
    }

    /// Runs `groups`.
    func groups(_ invocation: Invocation) -> Reply {
        let lines = center.settings.groups.sorted { $0.key < $1.key }.map { name, members in
            "- \(name): \(members.sorted().joined(separator: ", "))"
        }
        return answer(invocation, lines.joined(separator: "\n"), isPrivate: true)
    }

    /// Runs `cancel ID` and `kill ID`.
    func stop(_ invocation: Invocation, isOwn: Bool) async throws -> Reply {
        let id = try Flags(invocation.arguments).requiredJob()
        let job = isOwn ? try await own(id, invocation) : try await any(id)
        switch center.engine.stop(id, .cancelled(by: isOwn ? nil : invocation.message.sender.name)) {
        case .stopped: return answer(invocation, "Issued command cancellation to job \(id)")
        case .ending: throw Refusal("Job \(id) is ending already.")
        case .absent: throw Refusal("Job \(id) is not running: it is \(job.status.rawValue).")
        }
    }
}
