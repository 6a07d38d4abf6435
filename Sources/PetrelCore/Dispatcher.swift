package import CoreMetrics
package import Logging
package import PetrelKit

/// Takes messages from backends, finds the command, decides, runs it, and brings the reply back.
package final class Dispatcher: Sendable {
    package struct Policy: Sendable {
        package var prefixes: Prefixes
        package var access: AccessControl

        package init(prefixes: Prefixes = Prefixes(), access: AccessControl = AccessControl()) {
            self.prefixes = prefixes
            self.access = access
        }
    }

    private struct Job: Sendable {
        var match: CommandTable.Match
        var invocation: Invocation
        var received: ContinuousClock.Instant
    }

    private let registry: CommandRegistry
    private let delivery: Delivery
    private let pool: TaskPool
    private let logger: Logger
    private let queue: Locked<FairQueue<Job>>
    private let policy: Locked<Policy>
    private let seen: @Sendable (ChatMessage, String) -> Void
    private let meters: Meters

    package init(
        _ registry: CommandRegistry, delivery: Delivery, pool: TaskPool, policy: Policy, logger: Logger,
        metrics: any MetricsFactory, queue: FairQueueLimits = FairQueueLimits(),
        seen: @escaping @Sendable (ChatMessage, String) -> Void = { _, _ in }
    ) {
        self.registry = registry
        self.delivery = delivery
        self.pool = pool
        self.policy = Locked(policy)
        self.logger = logger
        self.seen = seen
        self.queue = Locked(
            FairQueue(limit: queue.limit, personLimit: queue.personLimit, waitingLimit: queue.waitingLimit))
        meters = Meters(metrics)
    }

    package func update(_ policy: Policy) { self.policy.withLock { $0 = policy } }

    package var currentPolicy: Policy { policy.value }

    /// Commands that run and that wait.
    package var load: (running: Int, waiting: Int) { queue.withLock { ($0.runningCount, $0.waitingCount) } }

    /// Takes one message. Returns at once: what it asks for runs on its own.
    package func receive(_ message: ChatMessage, from backend: String) {
        let policy = policy.value
        meters.received.increment()
        seen(message, backend)
        let whole = CommandText(message.text).text
        let completed = completion(of: message, on: backend)
        guard let text = policy.prefixes.strip(whole, from: message), !text.isEmpty else { return completed() }
        let address = Address(answering: message, from: backend)
        guard let match = registry.table.find(text) else {
            return answer(unknown(text, policy), at: address, then: completed)
        }
        let invocation = invocation(of: match, text, message, address, policy)
        let decision = policy.access.decide(match.entry.command, for: message)
        guard decision.isAllowed else {
            meters.denied.increment()
            log(for: invocation).notice("Denied: \(decision.reason)")
            return answer(Reply(decision.reason, kind: .error, isPrivate: true), at: address, then: completed)
        }
        admit(Job(match: match, invocation: invocation, received: .now))
    }

    private func admit(_ job: Job) {
        let person = person(of: job)
        switch queue.withLock({ $0.admit(job, for: person) }) {
        case .run: pool.spawn { await self.run(job) }
        case .waits: break
        case .refused:
            meters.refused.increment()
            let text = "You have too many commands waiting. Please try again when some of them have ended."
            answer(
                Reply(text, kind: .error), at: job.invocation.address,
                then: completion(of: job.invocation.message, on: job.invocation.address.backend))
        }
    }

    private func run(_ first: Job) async {
        await execute(first)
        if let next = queue.withLock({ $0.finished(for: person(of: first)) }) {
            pool.spawn { await self.run(next.job) }
        }
    }

    private func execute(_ job: Job) async {
        let invocation = job.invocation
        do {
            let reply = try await job.match.entry.command.handler(invocation)
            meters.succeeded.increment()
            if let reply { await delivery.deliver(reply, to: invocation.address) }
        } catch let error as any ReplyError {
            meters.failed.increment()
            log(for: invocation).info("\(error)")
            await delivery.deliver(Reply(error.reply, kind: .error), to: invocation.address)
        } catch {
            meters.failed.increment()
            let id = UInt32.random(in: 0x1000_0000...UInt32.max)
            let name = String(id, radix: 16)
            log(for: invocation).error("Error \(name): \(error)")
            await delivery.deliver(
                Reply("That went wrong inside me. The log has the details under \(name).", kind: .error),
                to: invocation.address)
        }
        meters.duration.recordNanoseconds((ContinuousClock.now - job.received).nanoseconds)
        completion(of: invocation.message, on: invocation.address.backend)()
    }

    private func answer(_ reply: Reply, at address: Address, then completed: @escaping @Sendable () -> Void) {
        pool.spawn { [delivery] in
            await delivery.deliver(reply, to: address)
            completed()
        }
    }
}

/// How many commands run and wait at once.
package struct FairQueueLimits: Sendable {
    package var limit: Int
    package var personLimit: Int
    package var waitingLimit: Int

    package init(limit: Int = 256, personLimit: Int = 64, waitingLimit: Int = 1_000) {
        self.limit = limit
        self.personLimit = personLimit
        self.waitingLimit = waitingLimit
    }
}

extension Dispatcher {
    private func person(of job: Job) -> String {
        "\(job.invocation.address.backend)/\(job.invocation.message.sender.id)"
    }

    private func completion(of message: ChatMessage, on backend: String) -> @Sendable () -> Void {
        let observer = delivery.backend(backend) as? any CompletionObserving
        return { observer?.completed(message.id) }
    }

    private func invocation(
        of match: CommandTable.Match, _ text: String, _ message: ChatMessage, _ address: Address, _ policy: Policy
    ) -> Invocation {
        Invocation(
            message: message, address: address,
            traits: delivery.backend(address.backend)?.traits ?? BackendTraits(),
            command: match.entry.command.name, arguments: match.arguments, line: CommandText.line(of: text),
            prefix: policy.prefixes.prefix, isAdmin: policy.access.isAdmin(message.sender),
            say: { [delivery] reply in await delivery.deliver(reply, to: address) })
    }

    private func unknown(_ text: String, _ policy: Policy) -> Reply {
        let prefix = policy.prefixes.prefix
        let line = CommandText.line(of: text)
        let entries = registry.table.entries
        let names = entries.map(\.command.name).filter { !$0.isEmpty }
        let words = line.prefix { $0 != " " }
        var near = Nearness.nearest(to: line, among: names)
        for name in Nearness.nearest(to: String(words), among: names) where !near.contains(name) { near.append(name) }
        let shown = line.count > 60 ? line.prefix(60) + "…" : line[...]
        var reply = "I know no command “\(shown)”."
        if !near.isEmpty {
            reply += " Did you mean " + near.prefix(3).map { "`\(prefix)\($0)`" }.joined(separator: " or ") + "?"
        }
        return Reply(reply + " `\(prefix)help` lists what I can do.", style: .markdown, kind: .error)
    }

    private func log(for invocation: Invocation) -> Logger {
        var logger = logger
        logger[metadataKey: "message"] = "\(invocation.message.id)"
        logger[metadataKey: "backend"] = "\(invocation.address.backend)"
        logger[metadataKey: "place"] = "\(invocation.address.place.id)"
        logger[metadataKey: "person"] = "\(invocation.message.sender.id)"
        logger[metadataKey: "command"] = "\(invocation.command)"
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

extension Duration {
    /// Whole nanoseconds; what does not fit is the largest number.
    package var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : product + attoseconds / 1_000_000_000
    }
}
