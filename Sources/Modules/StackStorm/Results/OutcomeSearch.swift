import Foundation
import Logging
import PetrelKit
import StackStormClient

/// Finds out whether a command was started whose answer never came.
///
/// The search begins when StackStorm's history can be read: while it cannot, it is tried again every few seconds and as
/// soon as StackStorm is heard from. From then on it ends within a minute.
struct OutcomeSearch: Sendable {
    /// Between two looks at a history that cannot be read.
    private static let retrying = Duration.seconds(5)
    /// So long it may not be readable.
    private static let patience = Duration.seconds(900)
    /// Looks at a history that can be read, and the pauses after them in units of ``unit``: what was handed over just
    /// before StackStorm went down may show up yet. Nine units in all.
    private static let pauses = [1, 2, 3, 3]
    private static let longestUnit = Duration.seconds(5)
    /// Pages of the history that one look may cost.
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
                    "StackStorm's history shows no execution of \(Self.shown(execution)): it was not started. "
                        + "Please try again.", true)
            }
            open.looked(execution.request, next: .now + unit * Self.pauses[entry.looks])
        } catch let error as StackStormError where error.code == .forbidden {
            giveUp(execution, error)
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
        host.logger.warning("Whether \(execution.alias) was started cannot be found out: \(error)")
        say(
            execution,
            "I was interrupted while \(Self.shown(execution)) was handed to StackStorm, and cannot find out "
                + "whether it was started. Please look in StackStorm's history before you try again.", true)
    }

    private static func shown(_ execution: OpenExecution) -> String { Markdown.code(execution.line) }

    /// The execution that carries our request, in the history since then. Throws where that cannot be read as a whole.
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
