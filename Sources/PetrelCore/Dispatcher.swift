package import CoreMetrics
package import Logging
package import PetrelKit
import PetrelSupport

/// Takes messages from backends, finds the command, decides, runs it, and brings the reply back.
package final class Dispatcher: Sendable {
    package struct Policy: Sendable {
        package var prefixes: Prefixes
        /// Counts the policies since the start.
        fileprivate(set) var number = 0
        package var access: AccessControl
        package var limits: LineLimits
        package var unknownCommands = UnknownCommands.answer
        /// A refusal is not answered at all.
        package var hidesRefusals: Bool
        /// Help shows only what the asker may run.
        package var hidesCommands: Bool

        package init(
            prefixes: Prefixes = Prefixes(), access: AccessControl = AccessControl(),
            limits: LineLimits = LineLimits(), hidesRefusals: Bool = false, hidesCommands: Bool = true
        ) {
            self.prefixes = prefixes
            self.access = access
            self.limits = limits
            self.hidesRefusals = hidesRefusals
            self.hidesCommands = hidesCommands
        }
    }

    /// What is said to a line in a room that no command takes. In a direct chat it is always answered.
    package enum UnknownCommands: String, Sendable, CaseIterable {
        case answer
        /// Only where a command is nearly called that.
        case hint
        case ignore
    }

    /// What a message asks for: a command that runs, or just an answer. Both wait for their turn.
    private struct Job: Sendable {
        var message: ChatMessage
        var address: Address
        var command: String
        var isAnswer = false
        var received = ContinuousClock.now
        var work: @Sendable () async throws -> Reply?
    }

    let registry: CommandRegistry
    let delivery: Delivery
    private let pool: TaskPool
    let logger: Logger
    let audit: any AuditLog
    private let queue: Locked<FairQueue<Job>>
    private let policy: Locked<Policy>
    private let seen: @Sendable (ChatMessage, String) -> Void
    private let meters: Meters
    private let rate = Locked(LineRate())
    /// Who was told that they have too much waiting, and has not been sent that yet.
    private let warned = Locked<Set<String>>([])

    package init(
        _ registry: CommandRegistry, delivery: Delivery, pool: TaskPool, policy: Policy, logger: Logger,
        metrics: any MetricsFactory, audit: any AuditLog, queue: FairQueueLimits = FairQueueLimits(),
        seen: @escaping @Sendable (ChatMessage, String) -> Void = { _, _ in }
    ) {
        self.registry = registry
        self.delivery = delivery
        self.pool = pool
        self.policy = Locked(policy)
        self.logger = logger
        self.audit = audit
        self.seen = seen
        self.queue = Locked(
            FairQueue(limit: queue.limit, personLimit: queue.personLimit, waitingLimit: queue.waitingLimit))
        meters = Meters(metrics)
    }

    package func update(_ policy: Policy) {
        self.policy.withLock { current in
            let number = current.number + 1
            current = policy
            current.number = number
        }
    }

    package var currentPolicy: Policy { policy.value }

    /// Commands that run and that wait.
    package var load: (running: Int, waiting: Int) { queue.withLock { ($0.runningCount, $0.waitingCount) } }

    /// Takes one message. Returns at once: what it asks for runs on its own.
    package func receive(_ message: ChatMessage, from backend: String) {
        let policy = policy.value
        meters.received.increment()
        seen(message, backend)
        guard let text = line(of: message, policy) else {
            return completion(of: message, on: backend)()
        }
        let address = Address(answering: message, from: backend)
        guard isWithinRate(message, address, policy.limits) else { return }
        if let objection = policy.limits.objection(to: message) {
            meters.refused.increment()
            return answer(Reply(objection, kind: .error), to: message, at: address)
        }
        guard let match = registry.table.find(text) else {
            guard let reply = unknown(text, message, address, policy) else {
                return completion(of: message, on: backend)()
            }
            return answer(reply, to: message, at: address)
        }
        let call = match.parsed(with: message.values)
        let decision = policy.access.decide(call.question(by: message.sender, in: message.room, on: backend))
        let entry = audit.record(AuditEntry(call, decision, message, backend))
        guard decision.isAllowed else { return refuse(match, decision, message, address, policy) }
        if match.entry.command.takesNoArguments, !match.arguments.isEmpty {
            let name = "\(policy.prefixes.prefix)\(match.entry.command.name)"
            return answer(
                Reply("\(Markdown.code(name)) takes no arguments.", style: .markdown, kind: .error), to: message,
                at: address)
        }
        let invocation = invocation(of: call, message, address, policy, entry)
        let handler = match.entry.command.handler
        admit(
            Job(message: message, address: address, command: match.entry.command.name) { try await handler(invocation) }
        )
    }

    /// Returns true if a message asks something of the bot, and leaves in it what was read.
    package func isMeant(_ message: inout ChatMessage) -> Bool {
        let policy = policy.value
        let line = line(of: message, policy)
        message.reading = ChatMessage.Reading(line: line, policy: policy.number)
        return line != nil
    }

    /// Returns the normalised line without the prefix; nil if the message is not for the bot or says nothing.
    private func line(of message: ChatMessage, _ policy: Policy) -> String? {
        if let reading = message.reading, reading.policy == policy.number { return reading.line }
        let whole = CommandText(policy.limits.head(of: message.text)).text
        return policy.prefixes.strip(whole, from: message).flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Whether somebody may write one more line. They are told once that they may not, until they have paused.
    private func isWithinRate(_ message: ChatMessage, _ address: Address, _ limits: LineLimits) -> Bool {
        let person = Self.person(message, on: address.backend)
        switch rate.withLock({ $0.take(person, perMinute: limits.perMinute) }) {
        case .taken: return true
        case .refused(isFirst: false): completion(of: message, on: address.backend)()
        case .refused(isFirst: true):
            log(message, address, "").notice(
                "More than \(limits.perMinute) lines in a minute: further lines are rejected.")
            let text =
                "You have sent more than \(limits.perMinute) lines in a minute. Further lines are ignored; please wait a "
                + "minute."
            delivery.answer(Reply(text, kind: .error), to: address, sent: completion(of: message, on: address.backend))
        }
        meters.refused.increment()
        return false
    }

    /// Told once, to the person alone where the backend can do that.
    private func refuse(
        _ match: CommandTable.Match, _ decision: AccessDecision, _ message: ChatMessage, _ address: Address,
        _ policy: Policy
    ) {
        guard let reply = refusal(match, decision, message, address, policy) else {
            return completion(of: message, on: address.backend)()
        }
        answer(reply, to: message, at: address)
    }

    package func verdict(on line: String, for invocation: Invocation) -> Verdict {
        let (message, address, policy) = (invocation.message, invocation.address, policy.value)
        guard let match = registry.table.find(CommandText(line).text), match.entry.command.name == invocation.command
        else { return .denied(Reply("The command for this line no longer exists.", kind: .error)) }
        let call = match.parsed()
        let decision = policy.access.decide(
            call.question(by: message.sender, in: message.room, on: address.backend))
        if decision.isAllowed { return .allowed(arguments: match.arguments, parsed: call.line?.value) }
        audit.record(AuditEntry(call, decision, message, address.backend))
        return .denied(refusal(match, decision, message, address, policy))
    }

    /// Nil where it is not told.
    private func refusal(
        _ match: CommandTable.Match, _ decision: AccessDecision, _ message: ChatMessage, _ address: Address,
        _ policy: Policy
    ) -> Reply? {
        meters.denied.increment()
        log(message, address, match.entry.command.name).notice("Denied: \(decision.reason)")
        // Where a command belongs is no secret, and a word that was shown to a room must not stay in use.
        if policy.hidesRefusals, decision.ground != .directOnly { return nil }
        var text = decision.reply
        if decision.ground == .directOnly, match.entry.command.masking != nil, !match.arguments.isEmpty {
            text += " Others could read the secret that you wrote here: choose another one."
        }
        return Reply(text, kind: .error, isPrivate: true)
    }

    private func answer(_ reply: Reply, to message: ChatMessage, at address: Address) {
        admit(Job(message: message, address: address, command: "", isAnswer: true) { reply })
    }

    private func admit(_ job: Job) {
        let person = person(of: job)
        switch queue.withLock({ $0.admit(job, for: person) }) {
        case .run: pool.spawn { await self.run(job) }
        case .waits: break
        case .refused: refuse(job, person)
        }
    }

    /// Said once, until it was sent: who floods the bot must not fill the queue of replies either.
    private func refuse(_ job: Job, _ person: String) {
        meters.refused.increment()
        guard warned.withLock({ $0.insert(person).inserted }) else { return completion(of: job)() }
        let text = "Too many of your commands are waiting. Please try again when some of them have finished."
        let completed = completion(of: job)
        delivery.answer(Reply(text, kind: .error), to: job.address) { [warned] in
            warned.withLock { _ = $0.remove(person) }
            completed()
        }
    }

    private func run(_ first: Job) async {
        await execute(first)
        if let next = queue.withLock({ $0.finished(for: person(of: first)) }) {
            pool.spawn { await self.run(next.job) }
        }
    }

    /// Runs a job and puts its reply into the queue of its room. A backend that is slow to take replies holds up its
    /// own rooms, not the commands of others.
    private func execute(_ job: Job) async {
        let reply = await reply(to: job)
        if !job.isAnswer { meters.duration.recordNanoseconds((ContinuousClock.now - job.received).nanoseconds) }
        // What the command said before may still wait.
        delivery.answer(reply ?? Reply(""), to: job.address, sent: completion(of: job))
    }

    private func reply(to job: Job) async -> Reply? {
        do {
            let reply = try await job.work()
            if !job.isAnswer { meters.succeeded.increment() }
            return reply
        } catch let error as any ReplyError {
            meters.failed.increment()
            log(job.message, job.address, job.command).info("\(error)")
            return Reply(error.reply, kind: .error, form: error.form)
        } catch {
            meters.failed.increment()
            let name = String(UInt32.random(in: 0x1000_0000...UInt32.max), radix: 16)
            log(job.message, job.address, job.command).error("Internal error \(name): \(error)")
            return Reply("Internal error \(name); see the log.", kind: .error)
        }
    }
}

/// How many commands run and wait at once.
package struct FairQueueLimits: Sendable {
    package var limit: Int
    package var personLimit: Int
    package var waitingLimit: Int

    package init(limit: Int = 256, personLimit: Int = 16, waitingLimit: Int = 1_000) {
        self.limit = limit
        self.personLimit = personLimit
        self.waitingLimit = waitingLimit
    }
}

extension Dispatcher {
    private func person(of job: Job) -> String { Self.person(job.message, on: job.address.backend) }

    /// Whose limits a message counts for: by the name where that is all there is. Another identifier can be had by coming
    /// in again.
    private static func person(_ message: ChatMessage, on backend: String) -> String {
        let sender = message.sender
        return "\(backend)/\(sender.isStable ? sender.id : sender.name)"
    }

    private func completion(of job: Job) -> @Sendable () -> Void {
        completion(of: job.message, on: job.address.backend)
    }

    private func completion(of message: ChatMessage, on backend: String) -> @Sendable () -> Void {
        let observer = delivery.backend(backend) as? any CompletionObserving
        return { observer?.completed(message.id) }
    }

    func log(_ message: ChatMessage, _ address: Address, _ command: String) -> Logger {
        var logger = logger
        logger[metadataKey: "message"] = "\(message.id)"
        logger[metadataKey: "backend"] = "\(address.backend)"
        logger[metadataKey: "place"] = "\(address.place.id)"
        logger[metadataKey: "person"] = "\(message.sender.id)"
        logger[metadataKey: "command"] = "\(command)"
        return logger
    }
}

extension Dispatcher {
    private struct Meters: Sendable {
        let received: Counter
        let succeeded: Counter
        let failed: Counter
        let denied: Counter
        let refused: Counter
        let duration: CoreMetrics.Timer

        init(_ factory: any MetricsFactory) {
            func commands(_ outcome: String) -> Counter {
                Counter(label: "petrel_commands_total", dimensions: [("outcome", outcome)], factory: factory)
            }
            received = Counter(label: "petrel_messages_received_total", dimensions: [], factory: factory)
            succeeded = commands("succeeded")
            failed = commands("failed")
            denied = commands("denied")
            refused = commands("refused")
            duration = CoreMetrics.Timer(label: "petrel_time_to_ack_seconds", dimensions: [], factory: factory)
        }
    }
}
