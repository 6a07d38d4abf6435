import JobEngine
import PetrelKit
import PetrelSupport
import PlugInProtocol
import ProcessModule

/// A call of a function of a plug-in for CatOps, as the work of a job. The program that answers it goes on running.
final class CatOpsCall: JobWork {
    /// The time in which the program ends a call that was stopped.
    private static let grace = Duration.seconds(10)
    /// The time within which the program answers. The time limit of the job comes first.
    private static let patience = Duration.seconds(100 * 365 * 86_400)

    private struct Stop: Sendable {
        var cause: StopCause?
        var grace = CatOpsCall.grace
        /// True if the call ended by itself, so that it can no longer be stopped.
        var isOver = false
    }

    /// The identifier of the call.
    let id: String
    private let name: String
    private let program: ProcessModule
    private let params: JSONValue
    private let timeout: Duration?
    private let library: CatOpsLibrary
    private let log: JobLog
    private let answered: @Sendable (JSONValue) async -> Void
    private let stop = Locked(Stop())
    private let isStopping = Signal()

    /// - Parameters:
    ///   - params: The parameters of `invoke`, without the identifier of the call.
    ///   - log: The log to which what the call prints is written.
    ///   - answered: A closure that stores the reply before the call has ended.
    init(
        _ name: String, job: Int, _ params: [String: JSONValue], of program: ProcessModule, _ library: CatOpsLibrary,
        timeout: Duration?, log: JobLog, answered: @escaping @Sendable (JSONValue) async -> Void
    ) {
        id = "job \(job)"
        self.name = name
        self.params = .object(params.merging(["call": .string(id), "command": .string(name)]) { $1 })
        self.program = program
        self.library = library
        self.timeout = timeout
        self.log = log
        self.answered = answered
    }

    func stop(_ cause: StopCause, grace: Duration?) -> Bool {
        let isFirst = stop.withLock { stop in
            guard stop.cause == nil, !stop.isOver else { return false }
            stop.cause = cause
            stop.grace = grace ?? stop.grace
            return true
        }
        isStopping.open()
        return isFirst
    }

    func run(started: @escaping @Sendable (Int32?) -> Void) async -> ProgramEnd {
        // A call that was stopped before it started does not start.
        if let cause = stop.value.cause { return ProgramEnd(.answered(failure: nil), cause: cause) }
        started(nil)
        return await library.record(id, to: log) { await end() }
    }

    private func end() async -> ProgramEnd {
        let isOver = Signal()
        let call = Task {
            defer { isOver.open() }
            return await self.failure()
        }
        await waitForEndOrStop(isOver)
        let stop = stop.withLock { stop in
            stop.isOver = isOver.isOpen
            return stop
        }
        if stop.cause != nil {
            // A call that waits for the program needs no further time.
            if program.cancel(id) { await Signal.wait(for: isOver, atMost: stop.grace) }
            if !isOver.isOpen { program.giveUp(id) }
            call.cancel()
        }
        return ProgramEnd(.answered(failure: await call.value), cause: stop.cause)
    }

    private func waitForEndOrStop(_ isOver: Signal) async {
        let limit = timeout.map { TimeLimit($0) { _ = self.stop(.timedOut, grace: nil) } }
        defer { limit?.cancel() }
        await withTaskGroup { tasks in
            tasks.addTask { await isOver.wait() }
            tasks.addTask { await self.isStopping.wait() }
            await tasks.next()
            tasks.cancelAll()
        }
    }

    /// Calls the function, and returns the reason for which that failed; nil if it succeeded.
    private func failure() async -> String? {
        do {
            let reply = try await program.invoke(name, params, call: id, within: Self.patience) { result in
                let reply = try Members(result, "result")["reply"]
                if let reply { _ = try Wire.reply(reply) }
                return reply
            }
            if let reply { await answered(reply) }
            return reply?["failure"]?.string.map {
                Printable.line(String(String.UnicodeScalarView($0.unicodeScalars.prefix(500))))
            }
        } catch let refusal as Refusal {
            return refusal.reply
        } catch {
            return "\(error)"
        }
    }
}

extension JobCenter {
    /// Returns the work of a job that calls a function.
    func call(
        _ definition: CommandDefinition, _ arguments: [String], _ origin: JobOrigin, _ record: JobRecord, _ log: JobLog
    ) -> CatOpsCall {
        let (caller, address) = (origin.caller, origin.address)
        var place: [String: JSONValue] = ["name": .string(caller.room?.name ?? caller.person.name)]
        switch address.place {
        case .room(let id): place["room"] = .string(id)
        case .direct(let id): place["person"] = .string(id)
        }
        place["thread"] = address.thread.map { .string($0) }
        let isAdmin = host.rules.isListed(
            caller.person, on: caller.backend, in: Set(settings.groups["admin"] ?? []))
        let shown = SecretArguments.line(origin.arguments, arguments, masked: definition.masked(arguments))
        let params: [String: JSONValue] = [
            "text": .string(origin.arguments), "backend": .string(address.backend), "place": .object(place),
            "person": [
                "id": .string(caller.person.id), "name": .string(caller.person.name),
                "stable": .bool(caller.person.isStable), "admin": .bool(isAdmin),
            ],
            "message": .string(address.inReplyTo ?? record.key), "prefix": .string(host.bot.prefix),
            "traits": Wire.json(host.chat.traits(of: address.backend) ?? BackendTraits()),
            // The arguments as error messages repeat them.
            "values": ["shown": .string(shown)],
        ]
        let book = book
        return CatOpsCall(
            definition.name, job: record.id, params, of: program, catops, timeout: definition.timeout, log: log,
            answered: { await book.keep(reply: $0, of: record) })
    }
}
