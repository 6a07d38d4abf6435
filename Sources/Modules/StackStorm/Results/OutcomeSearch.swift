import Foundation
import Logging
import PetrelKit
import StackStormClient

/// A search for commands to which StackStorm has not responded, to determine whether they were started.
///
/// While StackStorm's history cannot be read, the search is repeated every few seconds and as soon as StackStorm
/// responds again. After that it takes at most a minute.
struct OutcomeSearch: Sendable {
    /// The pause between two attempts to read the history.
    private static let retrying = Duration.seconds(5)
    /// The time after which the search ends if the history cannot be read.
    private static let patience = Duration.seconds(900)
    /// The pauses after searches of the history, in units of ``unit``. They are nine units in all: a command that was
    /// sent just before StackStorm went down may appear later.
    private static let pauses = [1, 2, 3, 3]
    private static let longestUnit = Duration.seconds(5)
    /// The maximum number of pages per search.
    private static let mostPages = 20
    private static let pageSize = 100

    let client: StackStormClient
    let host: ModuleHost
    let open: OpenExecutions
    let executions: StartedExecutions
    let grace: Duration
    let say: @Sendable (OpenExecution, _ text: String, _ isEnd: Bool) -> Void

    private var unit: Duration { min(Self.longestUnit, grace / 4) }

    func look(for entry: OpenExecutions.Entry) async {
        let execution = entry.execution
        do {
            if let found = try await outcome(of: execution) { return tell(execution, found) }
            guard entry.looks < Self.pauses.count else {
                return say(
                    execution,
                    "StackStorm's history contains no execution of \(Self.shown(execution)): it was not started. "
                        + "Please try again.", true)
            }
            open.looked(execution.request, next: .now + unit * Self.pauses[entry.looks])
        } catch let error as StackStormError where error.code == .forbidden {
            giveUp(execution, error)
        } catch is CancellationError {
            return
        } catch {
            guard entry.since.duration(to: .now) < Self.patience else { return giveUp(execution, error) }
            open.postpone(execution.request, until: .now + min(Self.retrying, unit))
        }
    }

    private func tell(_ execution: OpenExecution, _ found: ExecutionOutcome) {
        open.started(execution.request, id: found.id, start: found.start, due: .now + grace)
        executions.add(
            StartedExecution(
                id: found.id, person: execution.person, address: execution.address, line: execution.line,
                alias: execution.alias, isMasked: execution.line.contains(KnownActions.mask),
                request: execution.request, start: found.start))
        say(
            execution,
            "\(Self.shown(execution)) was started after all: "
                + Markdown.escaped("\(execution.alias) \(found.id), \(found.status)")
                + ". Its result follows." + (found.url.map { " " + Markdown.escaped($0) } ?? ""), false)
    }

    private func giveUp(_ execution: OpenExecution, _ error: any Error) {
        host.logger.warning("Cannot determine whether \(execution.alias) was started: \(error)")
        say(
            execution,
            "The call to StackStorm was interrupted, and it cannot be determined whether \(Self.shown(execution)) "
                + "was started. Please check StackStorm's history before you try again.", true)
    }

    private static func shown(_ execution: OpenExecution) -> String { Markdown.code(execution.line) }

    /// Returns the execution with the request ID of a command. Throws an error if the history since the command cannot
    /// be read completely.
    private func outcome(of execution: OpenExecution) async throws -> ExecutionOutcome? {
        var filter = HistoryFilter(after: execution.since, limit: Self.pageSize)
        for _ in 0..<Self.mostPages {
            let page = try await client.call(.outcomes(filter, contextsOf: execution.action))
            if let found = page.items.first(where: { RequestID.read($0.context) == execution.request }) {
                return found
            }
            if page.count < Self.pageSize { return nil }
            filter.offset += page.count
        }
        throw StackStormError(.unexpectedAnswer, "the history since then is too long")
    }
}
