import CoreMetrics
import Foundation
import Logging
import PetrelKit
import PetrelSupport

extension Dispatcher {
    typealias Entry = FairQueue<Job>.Entry

    /// The time that commands have to end by themselves, and to state their outcome.
    private static let grace = Duration.milliseconds(500)

    /// The way in which a job has ended.
    private enum Ending {
        /// It was done, or Petrel is stopping.
        case bySelf
        /// It was ended.
        case fromOutside
        /// It did not end in time, so that it was answered already.
        case givenUp
    }

    /// Runs a job in a task of the pool.
    func start(_ entry: Entry) { pool.spawn(entry.job.task) { await self.run(entry) } }

    private func run(_ first: Entry) async {
        var entries = [first]
        while let entry = entries.popLast() {
            let ending = await execute(entry)
            if ending == .givenUp { return }
            // The pool cancels only tasks that run. A waiting command that started in a new one could hang the shutdown.
            let isStopping = Task.isCancelled && ending == .bySelf
            for next in taken(after: entry) {
                if isStopping { entries.append(next) } else { start(next) }
            }
        }
    }

    /// Returns the jobs that run in the place of one that is done.
    private func taken(after entry: Entry) -> [Entry] {
        let entries = queue.withLock { $0.finished(entry) }
        for entry in entries { pressure.removed(entry.job.address.backend) }
        return entries
    }

    /// Runs a job and queues its reply. A backend that sends slowly delays only its own replies, not the commands of
    /// others.
    private func execute(_ entry: Entry) async -> Ending {
        let job = entry.job
        if let answer = job.answer {
            delivery.answer(answer, to: job.address, sent: completion(of: job))
            return .bySelf
        }
        let number = commands.withLock { $0.add(entry) }
        let reply = await reply(to: job, number)
        guard let command = commands.withLock({ $0.remove(number) }) else {
            log(job.message, job.address, job.command).notice("A command ended after it was given up.")
            return .givenUp
        }
        meters.duration.recordNanoseconds((ContinuousClock.now - job.received).nanoseconds)
        // Queued even if it is empty, because earlier messages of the command may still be pending.
        delivery.answer(reply ?? Reply(""), to: job.address, sent: completion(of: job))
        return command.reason == nil ? .bySelf : .fromOutside
    }

    private func reply(to job: Job, _ number: Int) async -> Reply? {
        /// Returns the reason for which the command is being ended; nil if it is not.
        func reason() -> String? { commands.withLock { $0.reason(of: number) } }
        do {
            if Task.isCancelled {
                throw Refusal("Petrel is stopping, so this command was not started. Please send it again later.")
            }
            let reply = try await job.work()
            meters.succeeded.increment()
            return reply
        } catch let error as any ReplyError {
            meters.failed.increment()
            // The reply may contain what the person wrote.
            let logger = log(job.message, job.address, job.command)
            logger.info("A command ended with an error reply (\(type(of: error))).")
            logger.debug("The error reply: \(error)")
            let text = reason().map { "\(error.reply)\n\(Self.text(ofEnd: $0))" } ?? error.reply
            return Reply(text, kind: .error, form: error.form)
        } catch is CancellationError where Task.isCancelled {
            meters.failed.increment()
            if let reason = reason() { return Reply(Self.text(ofEnd: reason), kind: .error) }
            return Reply(
                "Petrel is stopping, so this command did not finish. Please check its effect before you send it again.",
                kind: .error)
        } catch {
            meters.failed.increment()
            let name = String(UInt32.random(in: 0x1000_0000...UInt32.max), radix: 16)
            log(job.message, job.address, job.command).error("Internal error \(name): \(error)")
            if let reason = reason() { return Reply(Self.text(ofEnd: reason), kind: .error) }
            return Reply("Internal error \(name); see the log.", kind: .error)
        }
    }

    private static func text(ofEnd reason: String) -> String {
        "The command was ended, because \(reason). It may have had an effect; please check before you send it again."
    }
}

extension Dispatcher {
    /// Ends the commands that are running or waiting, and answers the people who wait for them. A command that does not
    /// end within ``grace`` is given up: its task may go on, and its reply is dropped.
    /// - Parameter reason: The reason, as a clause.
    package func endCommands(_ reason: String) {
        for entry in queue.withLock({ $0.removeWaiting() }) {
            pressure.removed(entry.job.address.backend)
            let refusal = Reply("The command was not started, because \(reason). Please send it again.", kind: .error)
            delivery.answer(
                entry.job.answer ?? refusal, to: entry.job.address, sent: completion(of: entry.job))
        }
        let ended = commands.withLock { $0.end(reason) }
        guard !ended.isEmpty else { return }
        for command in ended.values {
            let job = command.entry.job
            log(job.message, job.address, job.command).warning("Ending a command: \(reason).")
            job.task.cancel()
        }
        // Not in the pool, whose end would wait for it.
        Task {
            try await Task.sleep(for: Self.grace)
            for number in ended.keys.sorted() { self.giveUp(number) }
        }
    }

    /// Answers in the place of a command that has not ended in time.
    private func giveUp(_ number: Int) {
        guard let command = commands.withLock({ $0.remove(number) }) else { return }
        let job = command.entry.job
        meters.failed.increment()
        delivery.answer(
            Reply(Self.text(ofEnd: command.reason ?? "Petrel is stopping"), kind: .error), to: job.address,
            sent: completion(of: job))
        for next in taken(after: command.entry) { start(next) }
    }
}
