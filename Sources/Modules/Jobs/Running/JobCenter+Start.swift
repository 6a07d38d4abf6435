import CoreMetrics
import Foundation
import JobEngine
import Logging
import PetrelKit
import PetrelSupport

extension JobCenter {
    /// Starts a job, and returns its record once a crash cannot lose it.
    /// - Parameter say: a closure that sends the confirmation.
    @discardableResult
    func start(
        _ definition: CommandDefinition, _ arguments: [String], _ origin: JobOrigin,
        say: (Reply, DeliveryMarks) throws -> Void
    ) async throws -> JobRecord {
        let settings = settings
        if let file = definition.script, let objection = await scripts.objection(to: file) {
            meters.rejected.increment()
            throw Refusal("\(definition.name) was not started: \(objection).")
        }
        let (isStored, isStopping) = (Signal(), engine.isStopping)
        var prepared: (record: JobRecord, work: any JobWork, live: LiveReply)?
        // A call that is refused takes no number.
        let admission = try engine.submit {
            let (record, work, live) = try prepare(definition, arguments, origin, settings, isStopping)
            prepared = (record, work, live)
            return JobEngine.Job(id: record.id, work: work) { work in
                await isStored.wait()
                await self.run(record.id, work, definition, live)
            }
        }
        guard let (record, work, live) = prepared else { throw refusal(admission, settings.limits) }
        defer { isStored.open() }
        do {
            try await book.add(record)
        } catch {
            // What is not recorded does not run.
            work.stop(.cancelled(by: nil), grace: nil)
            throw error
        }
        meters.accepted.increment()
        try live.confirm(admission, say)
        return record
    }

    /// Returns the record, the work and the confirmation of a job.
    private func prepare(
        _ definition: CommandDefinition, _ arguments: [String], _ origin: JobOrigin, _ settings: JobsSettings,
        _ isStopping: Signal
    ) throws -> (JobRecord, any JobWork, LiveReply) {
        let record = try record(definition, arguments, origin)
        let log = JobLog(
            record.key, in: logs, limit: settings.outputBytes, host.logger, meters, isStopping: isStopping,
            budget: keepsRecords ? nil : OutputBudget())
        let work = try work(definition, arguments, origin, record, log)
        return (record, work, LiveReply(record, definition, self, log))
    }

    /// Returns the answer to a call that was not accepted.
    private func refusal(_ admission: JobEngine.Admission, _ limits: JobEngine.Limits) -> Refusal {
        guard admission == .full else {
            return Refusal("Petrel is stopping, so the job was not started. Please try again later.")
        }
        meters.rejected.increment()
        let waiting =
            switch limits.queue {
            case 0: limits.pool == 1 ? "1 job is running" : "\(limits.pool) jobs are running"
            case 1: "1 job is waiting"
            default: "\(limits.queue) jobs are waiting"
            }
        return Refusal("\(waiting) already, so this one was not started. Please try again later.")
    }

    private func record(
        _ definition: CommandDefinition, _ arguments: [String], _ origin: JobOrigin
    ) throws -> JobRecord {
        let (person, room) = (origin.caller.person, origin.caller.room)
        return JobRecord(
            id: try book.number(), command: definition.name, arguments: definition.masked(arguments),
            person: person.id, personName: person.name, room: room?.id, roomName: room?.name,
            isPrivateRoom: room?.isPrivate,
            address: origin.address, token: origin.token, answer: definition.answer, created: .now)
    }

    /// Returns the work of a job: a call of a function, or the run of a program.
    private func work(
        _ definition: CommandDefinition, _ arguments: [String], _ origin: JobOrigin, _ record: JobRecord, _ log: JobLog
    ) throws -> any JobWork {
        if definition.isFunction { return call(definition, arguments, origin, record, log) }
        let call = ProgramCall(
            arguments: arguments, text: origin.text, caller: origin.caller, thread: origin.address.thread,
            job: record.id)
        return RunningProgram(try definition.program(for: call, inheriting: settings.environment), to: log)
    }

    /// Does the work of a job, and says its result.
    private func run(_ id: Int, _ work: any JobWork, _ definition: CommandDefinition, _ live: LiveReply) async {
        // Not for a job that is stopped before it starts.
        let hasStarted = Signal()
        let updates = Task {
            await hasStarted.wait()
            if !Task.isCancelled { await live.run() }
        }
        let end = await work.run { process in
            hasStarted.open()
            do {
                try self.book.start(id, as: process)
            } catch {
                self.host.logger.error("The start of job \(id) cannot be recorded: \(error)")
            }
        }
        updates.cancel()
        await live.log.close(end)
        guard let job = await finish(id, end, definition, live.log) else { return }
        meters.ended(job)
        live.finish(job, isStopping: end.cause == .shutdown)
        await say(resultOf: job, definition.format)
        if !keepsRecords { await forget(job) }
    }

    /// Removes a job whose result was said.
    private func forget(_ job: JobRecord) async {
        do {
            try await book.remove(job, logs)
        } catch {
            host.logger.error("The record of job \(job.id) cannot be removed: \(error)")
        }
    }

    /// Records the end of a job.
    private func finish(
        _ id: Int, _ end: ProgramEnd, _ definition: CommandDefinition, _ log: JobLog
    ) async -> JobRecord? {
        let lost = log.end()
        do {
            return try await book.finish(id) { job in
                job.end(end, timeout: definition.timeout)
                if end.hasOpenOutput, job.started != nil {
                    job.note =
                        "a process that the command left behind kept the output open; what it printed later was not recorded"
                }
                if lost > 0 { job.note = [job.note, JobLog.loss(lost)].compactMap(\.self).joined(separator: "; ") }
            }
        } catch {
            host.logger.error("The end of job \(id) cannot be recorded: \(error)")
            return nil
        }
    }

    /// Says the result of a job, in one transaction with the removal of its entry among the open ones.
    func say(resultOf job: JobRecord, _ format: ReplyFormat) async {
        if let answer = job.answer { return await say(answer, of: job) }
        let isGood = job.status == .successful
        var values = values(of: job)
        var rest = ""
        let notes = await notes(about: job)
        do {
            let excerpt = try await excerpt(
                of: job, limit: excerptLimit(on: job.address.backend), fromEnd: !isGood)
            values.output = excerpt.text
            values.size = Int(excerpt.size)
            rest = excerpt.notice(logs(of: job))
        } catch {
            rest = "\n\(unreadable(job))"
            host.logger.error("The output of job \(job.id) cannot be read: \(error)")
        }
        let occasion: ReplyOccasion = isGood ? .success : .failure
        var reply =
            writer(format).reply(occasion, values, kind: isGood ? .result : .error) ?? Reply("", kind: .result)
        if reply.isVisible, format.showsOutput(occasion) { reply.text += rest }
        if reply.isVisible { reply.text += notes }
        let transaction = MessageTransaction(closes: (JobBook.openCollection, job.key))
        do {
            try host.chat.say(reply, at: job.address, DeliveryMarks(settles: LiveReply.request(job.id)), transaction)
            if !reply.isVisible { book.close(job) }
        } catch {
            host.logger.critical(
                "The result of job \(job.id) cannot be queued; it is repeated at the next start: \(error)")
        }
    }

    /// Waits until the output of a job can be read. Returns what its reply has to say about the record, as lines that
    /// begin with a line feed.
    func notes(about job: JobRecord) async -> String {
        var notes = job.note.map { "\nNote: \($0)." } ?? ""
        // The work throws no error.
        let isStored = try? await StoreWork.run(until: engine.isStopping) { [logs] in await logs.written() }
        if isStored != true {
            notes +=
                "\nNote: the end of the output is not stored yet; \(typed("logs \(job.id)")) shows it as soon as it is."
        }
        return notes
    }

    /// Returns the values of templates for a job.
    func values(of job: JobRecord) -> ReplyValues {
        let room = job.room.map { Room(id: $0, name: job.roomName ?? $0) }
        let caller = CommandCaller(
            person: Person(id: job.person, name: job.personName), room: room, backend: job.address.backend)
        var values = values(of: caller, job.command, job.arguments)
        values.job = job.id
        values.error = job.reason ?? ""
        values.duration = job.duration()
        values.started = job.started ?? job.created
        return values
    }
}
