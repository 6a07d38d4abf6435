import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// Tracks commands from chat to their end. It searches for commands to which StackStorm did not respond, and reports
/// executions that ended without an announcement.
struct Tracker: Sendable {
    /// The number of checks after which an execution that is not in the history is no longer tracked.
    private static let mostAttempts = 5
    /// The maximum number of pages of the history per check.
    private static let mostPages = 20
    /// The maximum number of executions that are requested individually per check.
    private static let mostSingle = 50
    private static let pageSize = 100
    /// The maximum time between the starts of executions that are looked up with one query.
    private static let closeness = Duration.seconds(60)

    let client: StackStormClient
    let host: ModuleHost
    let open: OpenExecutions
    let executions: StartedExecutions
    let replay: Replay
    let grace: Duration

    /// The pause between two checks.
    private var interval: Duration { min(max(grace / 4, .milliseconds(250)), .seconds(15)) }

    private let woken = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    init(
        client: StackStormClient, host: ModuleHost, open: OpenExecutions, executions: StartedExecutions,
        replay: Replay, grace: Duration
    ) {
        self.client = client
        self.host = host
        self.open = open
        self.executions = executions
        self.replay = replay
        self.grace = grace
    }

    /// Starts due searches now, after StackStorm has responded again or an outcome has become unknown.
    func wake() {
        open.hastenSearches()
        woken.continuation.yield()
    }

    /// Checks the tracked commands until cancelled.
    func run() async {
        var timer: Task<Void, any Error>?
        for await _ in woken.stream {
            timer?.cancel()
            await look()
            let pause = min(interval, open.untilNextSearch ?? interval)
            timer = Task { [woken] in
                try await Task.sleep(for: pause)
                woken.continuation.yield()
            }
        }
        timer?.cancel()
    }

    private var search: OutcomeSearch {
        OutcomeSearch(client: client, host: host, open: open, executions: executions, grace: grace) {
            tell($0, $1, isEnd: $2)
        }
    }

    /// Checks the commands that are due.
    func look() async {
        let due = open.due()
        guard !due.isEmpty else { return }
        let unknown = due.filter { $0.execution.id == nil }
        for entry in unknown { await search.look(for: entry) }
        for group in grouped(due.filter { $0.execution.id != nil }) { await lookAfter(group) }
    }

    // MARK: Ended executions

    /// Groups executions by start time, so that one query finds all executions of a group.
    private func grouped(_ entries: [OpenExecutions.Entry]) -> [[OpenExecutions.Entry]] {
        let sorted = entries.sorted {
            ($0.execution.start?.microseconds ?? 0) < ($1.execution.start?.microseconds ?? 0)
        }
        var groups: [[OpenExecutions.Entry]] = []
        for entry in sorted {
            if let last = groups.last?.last?.execution.start, let start = entry.execution.start,
                start - last < Self.closeness
            {
                groups[groups.count - 1].append(entry)
            } else {
                groups.append([entry])
            }
        }
        return groups
    }

    private func lookAfter(_ group: [OpenExecutions.Entry]) async {
        do {
            let (outcomes, gone, now) = try await outcomes(of: group)
            var silent: [(OpenExecution, ExecutionOutcome)] = []
            for entry in group {
                let execution = entry.execution
                guard let id = execution.id, let outcome = outcomes[id] else {
                    giveUp(entry, isGone: execution.id.map { gone.contains($0) } ?? true)
                    continue
                }
                guard outcome.isFinished else {
                    showProgress(of: execution, isOver: false)
                    open.postpone(execution.request, until: .now + pause(entry))
                    continue
                }
                let byTheirs = outcome.end.flatMap { end in now.map { $0 - end } } ?? .zero
                guard max(byTheirs, open.noteEnd(execution.request)) >= grace else {
                    open.postpone(execution.request, until: .now + interval)
                    continue
                }
                silent.append((execution, outcome))
            }
            if !silent.isEmpty { try await report(silent) }
        } catch {
            if Task.isCancelled { return }
            // The executions stay tracked, because nothing is known about their state.
            host.logger.info("Cannot determine the status of \(group.count) executions yet: \(error)")
            for entry in group { open.postpone(entry.execution.request, until: .now + pause(entry)) }
        }
    }

    private func showProgress(of execution: OpenExecution, isOver: Bool) {
        guard let progress = open.progress(execution.request, isOver: isOver) else { return }
        host.chat.replace(execution.request, with: progress, on: execution.address.backend)
    }

    /// Stops tracking an execution without a report.
    private func close(_ execution: OpenExecution) {
        showProgress(of: execution, isOver: true)
        open.close(execution.request)
    }

    /// Returns the pause until the next check of an execution, which grows with its age.
    private func pause(_ entry: OpenExecutions.Entry) -> Duration {
        min(max(interval, (ContinuousClock.now - entry.since) / 10), .seconds(600))
    }

    /// Stops tracking an execution that is not in the history after the maximum number of checks.
    private func giveUp(_ entry: OpenExecutions.Entry, isGone: Bool) {
        guard isGone, entry.attempts >= Self.mostAttempts else {
            return open.postpone(entry.execution.request, until: .now + pause(entry))
        }
        host.logger.notice("\(entry.execution.alias) \(entry.execution.id ?? "") is not in StackStorm's history.")
        close(entry.execution)
    }

    private func outcomes(
        of group: [OpenExecutions.Entry]
    ) async throws -> (found: [String: ExecutionOutcome], gone: Set<String>, now: StackStormTime?) {
        let wanted = Set(group.compactMap(\.execution.id))
        let starts = group.compactMap(\.execution.start)
        guard let first = starts.min(), let last = starts.max() else {
            // Every execution of StackStorm has a start time.
            return ([:], wanted, nil)
        }
        var filter = HistoryFilter(
            after: first - .milliseconds(1), before: last - .milliseconds(-1), limit: Self.pageSize)
        var found: [String: ExecutionOutcome] = [:]
        while true {
            let page = try await client.call(.outcomes(filter))
            for outcome in page.items where wanted.contains(outcome.id) { found[outcome.id] = outcome }
            guard found.count < wanted.count, page.count == Self.pageSize,
                filter.offset < Self.mostPages * Self.pageSize
            else { break }
            filter.offset += page.count
        }
        // The history may contain more executions than the maximum number of pages.
        var gone: Set<String> = []
        for id in wanted.subtracting(found.keys).prefix(Self.mostSingle) {
            do {
                found[id] = try await client.call(.outcome(of: id))
            } catch let error as StackStormError where error.code == .notFound {
                gone.insert(id)
            }
        }
        return (found, gone, client.now)
    }

    /// Handles executions that ended without a posted result: the announcement was missed on the stream, its rule
    /// removed the context, or there was none.
    private func report(_ silent: [(execution: OpenExecution, outcome: ExecutionOutcome)]) async throws {
        guard await replay.look() else { throw StackStormError(.unreachable, "the announcements cannot be read") }
        let announced = try await announcedExecutions()
        let onTheirWay = try await resultsOnTheirWay(since: silent.compactMap(\.outcome.start).min())
        let stillOpen = Set(open.due().map(\.execution.request))
        for (execution, outcome) in silent where stillOpen.contains(execution.request) {
            if announced.contains(outcome.id) {
                close(execution)
            } else if onTheirWay.contains(outcome.id) {
                open.postpone(execution.request, until: .now + interval)
            } else {
                tell(
                    execution,
                    Markdown.escaped("\(execution.alias) \(outcome.id) has ended with the status \(outcome.status)")
                        + ", and StackStorm announced no result." + link(outcome), isEnd: true, kind: .result)
            }
        }
    }

    /// Returns the executions for which `chatops.post_result`, which announces results, is requested, scheduled or
    /// running: a slow StackStorm announces a result minutes after the end.
    private func resultsOnTheirWay(since start: StackStormTime?) async throws -> Set<String> {
        var filter = HistoryFilter(after: start, limit: Self.pageSize)
        var found: Set<String> = []
        for _ in 0..<Self.mostPages {
            let page = try await client.call(.resultPosts(filter))
            for post in page.items where !post.isFinished { found.insert(post.execution) }
            if page.count < Self.pageSize { return found }
            filter.offset += page.count
        }
        return found
    }

    /// Returns the executions whose results were announced without context. The parent of such an announcement names
    /// the execution.
    private func announcedExecutions() async throws -> Set<String> {
        var announced: Set<String> = []
        for parent in open.takeParents() {
            let run = try await client.call(.execution(parent))
            if let id = run.parameters?["execution_id"]?.string { announced.insert(id) }
        }
        return announced
    }

    private func link(_ outcome: ExecutionOutcome) -> String { outcome.url.map { " " + Markdown.escaped($0) } ?? "" }

    private func tell(
        _ execution: OpenExecution, _ text: String, isEnd: Bool = false, kind: Reply.Kind = .acknowledgement
    ) {
        let closes = isEnd ? open.record(of: execution.request) : nil
        let progress = isEnd ? open.progress(execution.request, isOver: true) : nil
        let reply = Reply(text, style: .markdown, kind: kind)
        let marks = DeliveryMarks(settles: isEnd ? execution.request : nil)
        do {
            let say = { try host.chat.say(reply, at: execution.address, marks, MessageTransaction(closes: closes)) }
            if isEnd { try open.end(execution.request, saying: say) } else { try say() }
            if let progress { host.chat.replace(execution.request, with: progress, on: execution.address.backend) }
        } catch {
            host.logger.error("Cannot post the outcome of \(execution.alias): \(error)")
        }
    }
}
