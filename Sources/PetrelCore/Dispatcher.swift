package import CoreMetrics
package import Logging
package import PetrelKit
import PetrelSupport

/// Receives messages from backends, finds their commands, applies access rules, runs the commands and queues the
/// replies.
package final class Dispatcher: Sendable {
    /// The settings of the dispatcher that can change while it runs.
    package struct Policy: Sendable {
        /// The prefixes by which messages address the bot.
        package var prefixes: Prefixes
        /// The number of policies before this one.
        fileprivate(set) var number = 0
        /// The access rules.
        package var access: AccessControl
        /// The limits for the lines of a person.
        package var limits: LineLimits
        /// The response to unknown commands in rooms.
        package var unknownCommands = UnknownCommands.answer
        /// True if denied commands get no reply.
        package var hidesRefusals: Bool
        /// True if help shows only commands that the person may run.
        package var hidesCommands: Bool

        /// Creates a policy.
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

    /// The response to unknown commands in rooms. In direct chats, they are always answered.
    package enum UnknownCommands: String, Sendable, CaseIterable {
        /// Answer.
        case answer
        /// Answer only if a command has a similar name.
        case hint
        /// Do not answer.
        case ignore
    }

    /// A command to run, or an answer to queue. Both wait in the queue of their person.
    struct Job: Sendable {
        var message: ChatMessage
        var address: Address
        var command: String
        /// The answer to queue; nil for a command to run.
        var answer: Reply?
        var received = ContinuousClock.now
        var work: @Sendable () async throws -> Reply?
        /// The task that runs it.
        let task = TaskHandle()
    }

    let registry: CommandRegistry
    let delivery: Delivery
    let pool: TaskPool
    let logger: Logger
    let audit: any AuditLog
    let queue: Locked<FairQueue<Job>>
    let pressure: BackPressure
    private let policy: Locked<Policy>
    private let seen: @Sendable (ChatMessage, String) -> Void
    let meters: Meters
    /// The commands that are running.
    let commands = Locked(RunningCommands())
    /// The modules that change how lines are read and answered.
    let hooks = Locked(LineHooks())
    private let rate = Locked(LineRate())
    /// The people whose warning about too many waiting commands has not been sent yet.
    private let warned = Locked<Set<String>>([])

    /// Creates a dispatcher.
    /// - Parameter seen: a closure that is called for each message.
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
        self.queue = Locked(FairQueue(queue))
        pressure = BackPressure(limit: queue.backendLimit)
        meters = Meters(metrics)
    }

    /// Replaces the policy.
    package func update(_ policy: Policy) {
        self.policy.withLock { current in
            let number = current.number + 1
            current = policy
            current.number = number
        }
    }

    /// The current policy.
    package var currentPolicy: Policy { policy.value }

    /// The numbers of running and of waiting commands.
    package var load: (running: Int, waiting: Int) { queue.withLock { ($0.runningCount, $0.waitingCount) } }

    /// Waits until a backend has fewer waiting messages than ``FairQueueLimits/backendLimit``, or the current task is
    /// cancelled.
    func waitForCapacity(of backend: String) async { await pressure.wait(for: backend) }

    /// Dispatches a message, and returns at once. Its command runs in a task of the pool.
    package func receive(_ message: ChatMessage, from backend: String) {
        let policy = policy.value
        meters.received.increment()
        seen(message, backend)
        guard let text = line(of: message, policy) else {
            return completion(of: message, on: backend)()
        }
        let address = Address(answering: message, from: backend)
        let caller = CommandCaller(person: message.sender, room: message.room, backend: backend)
        if let silence = silence(towards: caller) {
            record(unanswered: text, message, address, policy, silence)
            return completion(of: message, on: backend)()
        }
        guard isWithinRate(message, address, policy.limits) else { return }
        if let objection = policy.limits.objection(to: message) {
            meters.refused.increment()
            return answer(Reply(objection, kind: .error), to: message, at: address)
        }
        let expanded = expanded(text, message, backend)
        if let objection = objection(to: expanded, of: message, typed: text, policy) {
            meters.refused.increment()
            return answer(Reply(objection, kind: .error), to: message, at: address)
        }
        guard let match = registry.table.find(expanded) else {
            guard let reply = unknown(expanded, message, address, policy) else {
                return completion(of: message, on: backend)()
            }
            return answer(reply, to: message, at: address)
        }
        let call = match.parsed(with: message.values)
        let decision = policy.access.decide(call.question(by: message.sender, in: message.room, on: backend))
        let entry = audit.record(AuditEntry(call, in: registry.table, decision, message, backend))
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
            Job(message: message, address: address, command: match.entry.command.name) {
                try await handler(invocation)
            },
            in: match.entry.module)
    }

    /// Records a line that is neither run nor answered.
    private func record(
        unanswered text: String, _ message: ChatMessage, _ address: Address, _ policy: Policy,
        _ silence: CommandObjection
    ) {
        let person = Self.person(message, on: address.backend)
        guard rate.withLock({ $0.take(person, perMinute: policy.limits.perMinute) }) == .taken,
            policy.limits.objection(to: message) == nil,
            let match = registry.table.find(expanded(text, message, address.backend))
        else { return meters.refused.increment() }
        let decision = AccessDecision(isAllowed: false, rule: nil, ground: .command(silence))
        audit.record(
            AuditEntry(
                match.parsed(with: message.values), in: registry.table, decision, message, address.backend))
        meters.denied.increment()
        log(message, address, match.entry.command.name).notice("Denied a command: \(decision.reason).")
    }

    /// Returns true if a message contains a line for the bot, and stores the result of reading in the message.
    package func isMeant(_ message: inout ChatMessage) -> Bool {
        let policy = policy.value
        let line = line(of: message, policy)
        message.reading = ChatMessage.Reading(line: line, policy: policy.number)
        return line != nil
    }

    /// Returns the normalised line without the prefix; nil if the message is not for the bot or is empty.
    private func line(of message: ChatMessage, _ policy: Policy) -> String? {
        if let reading = message.reading, reading.policy == policy.number { return reading.line }
        let whole = CommandText(policy.limits.head(of: message.text)).text
        return policy.prefixes.strip(whole, from: message).flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Counts a line of a person. Returns false if it exceeds the rate limit; the person is notified once, until they
    /// have paused.
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

    /// Replies to a denied command, visible only to the person if the backend supports that.
    private func refuse(
        _ match: CommandTable.Match, _ decision: AccessDecision, _ message: ChatMessage, _ address: Address,
        _ policy: Policy
    ) {
        guard let reply = refusal(match, decision, message, address, policy) else {
            return completion(of: message, on: address.backend)()
        }
        answer(reply, to: message, at: address)
    }

    /// Evaluates a line that a person did not type; see ``Judging/verdict(on:for:)``.
    package func verdict(on line: String, for invocation: Invocation) -> Verdict {
        let (message, address, policy) = (invocation.message, invocation.address, policy.value)
        guard let match = registry.table.find(CommandText(line).text), match.entry.command.name == invocation.command
        else { return .denied(Reply("The command for this line no longer exists.", kind: .error)) }
        let call = match.parsed()
        let decision = policy.access.decide(
            call.question(by: message.sender, in: message.room, on: address.backend))
        if decision.isAllowed { return .allowed(arguments: match.arguments, parsed: call.line?.value) }
        audit.record(AuditEntry(call, in: registry.table, decision, message, address.backend))
        return .denied(refusal(match, decision, message, address, policy))
    }

    /// Returns the reply to a denied command; nil if denials get no reply.
    private func refusal(
        _ match: CommandTable.Match, _ decision: AccessDecision, _ message: ChatMessage, _ address: Address,
        _ policy: Policy
    ) -> Reply? {
        meters.denied.increment()
        log(message, address, match.entry.command.name).notice("Denied a command: \(decision.reason).")
        // That a command works only in direct chats is not secret, and a secret that was shown to a room must be
        // replaced.
        if policy.hidesRefusals, decision.ground != .directOnly { return nil }
        if case .command(let objection) = decision.ground, objection.isSilent { return nil }
        if let refusal = match.entry.command.refusal {
            let caller = CommandCaller(person: message.sender, room: message.room, backend: address.backend)
            if let reply = refusal(caller, decision) { return reply }
        }
        var text = decision.reply
        let masked = match.entry.command.masking?(match.arguments) ?? match.arguments
        if decision.ground == .directOnly, masked.words != match.arguments.words {
            text += " Others could read the secret that you wrote here: choose another one."
        }
        return Reply(text, kind: .error, isPrivate: true)
    }

    private func answer(_ reply: Reply, to message: ChatMessage, at address: Address) {
        admit(Job(message: message, address: address, command: "", answer: reply) { reply })
    }

    private func admit(_ job: Job, in module: String = "") {
        let entry = FairQueue.Entry(job, for: person(of: job), in: module)
        switch queue.withLock({ $0.admit(entry) }) {
        case .run: start(entry)
        case .waits: pressure.added(job.address.backend)
        case .refused: refuse(job, entry.person)
        }
    }

    /// Replies to a job that exceeds the limit. There is at most one unsent reply for each person, so that a flood does
    /// not fill the queue of replies.
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
}

extension Dispatcher {
    private func person(of job: Job) -> String { Self.person(job.message, on: job.address.backend) }

    /// Returns the key for the limits of a person: the name if the identifier is not stable, because a person gets a
    /// new one by entering the room again.
    private static func person(_ message: ChatMessage, on backend: String) -> String {
        let sender = message.sender
        return "\(backend)/\(sender.isStable ? sender.id : sender.name)"
    }

    func completion(of job: Job) -> @Sendable () -> Void {
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
    struct Meters: Sendable {
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
