import PetrelKit
import PetrelSupport

/// The built-in commands that show and control jobs.
struct JobCommands: Sendable {
    let center: JobCenter

    /// The names of all built-in commands, without the prefix of the settings.
    static let names = [
        "jobs", "job", "last", "logs", "tail", "head", "cancel", "kill", "groups", "auditjob", "auditlogs", "alias",
        "unalias", "aliases", "token-new", "tokens", "token-revoke",
    ]

    /// The commands.
    var commands: [Command] {
        [
            command("jobs", "[-limit N] [-status S]", "Show your last jobs.") { try await jobs($0) },
            command("job", "<job ID>", "Show one of your jobs.") { try await job($0) },
            command("last", "", "Show your last job.") { try await last($0) },
            command("logs", "<job ID> [-from BYTES]", "Show the output of one of your jobs.") { try await logs($0) },
            command("tail", "[-limit N] [job ID]", "Show the last lines of your last job, or of a job.") {
                try await lines($0, fromEnd: true)
            },
            command("head", "[-limit N] [job ID]", "Show the first lines of your last job, or of a job.") {
                try await lines($0, fromEnd: false)
            },
            command("cancel", "<job ID>", "Stop one of your jobs.") { try await stop($0, isOwn: true) },
            command("kill", "<job ID>", "Stop a job of anyone.", isAdminOnly: true) {
                try await stop($0, isOwn: false)
            },
            command("groups", "", "Show the groups and their members.", isAdminOnly: true) { groups($0) },
            command("auditjob", "<job ID>", "Show a job of anyone.", isAdminOnly: true) { try await auditJob($0) },
            command("auditlogs", "<job ID> [-from BYTES]", "Show the output of a job of anyone.", isAdminOnly: true) {
                try await auditLogs($0)
            },
        ]
    }

    /// Creates a built-in command.
    func command(
        _ name: String, _ usage: String, _ summary: String, isAdminOnly: Bool = false, isDirectOnly: Bool = false,
        _ handler: @escaping Command.Handler
    ) -> Command {
        var command = Command(
            center.line(name), usage: usage, summary: summary, isAdminOnly: isAdminOnly, isDirectOnly: isDirectOnly,
            handler: handler)
        command.isAuxiliary = true
        command.objection = { [center] in center.stealthObjection(to: $0) }
        return command
    }

    /// Returns the answer of a built-in command, in the form of a successful job if that shows the output.
    func answer(_ invocation: Invocation, _ output: String, notice: String = "", isPrivate: Bool = false) -> Reply {
        var values = center.values(of: CommandCaller(invocation), invocation.command)
        values.output = output.isEmpty || output.utf8.last == 0x0A ? output : output + "\n"
        values.size = output.utf8.count
        var reply = center.writer(center.settings.format).reply(.success, values, kind: .answer) ?? Reply("")
        // A template may also be one that tells only that a job has ended.
        if !reply.text.utf8.contains(values.output.utf8) { reply.text = values.output }
        reply.text += notice
        reply.isPrivate = isPrivate
        return reply
    }

    /// Returns a job of the person, or throws a refusal.
    func own(_ id: Int, _ invocation: Invocation) async throws -> JobRecord {
        let (person, backend) = (invocation.message.sender, invocation.address.backend)
        guard let job = try await center.book.job(id), job.belongs(to: person, on: backend) else {
            throw Refusal("There is no job \(id) of yours. \(invocation.typed(center.line("jobs"))) lists your jobs.")
        }
        return job
    }

    /// Returns the last job of the person, or throws a refusal.
    func lastJob(_ invocation: Invocation) async throws -> JobRecord {
        let owner = (invocation.message.sender.id, invocation.address.backend)
        guard let job = try await center.book.newest(1, of: owner).jobs.first else {
            throw Refusal("You have not started a job yet.")
        }
        return job
    }

    /// Returns a job of anyone, or throws a refusal.
    func any(_ id: Int) async throws -> JobRecord {
        guard let job = try await center.book.job(id) else { throw Refusal("There is no job \(id).") }
        return job
    }
}

extension CommandCaller {
    init(_ invocation: Invocation) {
        self.init(
            person: invocation.message.sender, room: invocation.message.room, backend: invocation.address.backend)
    }
}
