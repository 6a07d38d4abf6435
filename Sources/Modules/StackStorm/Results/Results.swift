import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// The commands that were sent to StackStorm, and the delivery of their results.
final class Results: Sendable {
    /// The maximum difference between the clocks of StackStorm's hosts.
    private static let clockDifference = Duration.seconds(300)

    let open: OpenExecutions
    let started: StartedExecutions
    let announcer: Announcer
    let replay: Replay
    let orphans: Orphans
    let tracker: Tracker
    let overtaken = OvertakenResults()
    /// The time at which the last execution was started.
    let lastStart = Locked<ContinuousClock.Instant?>(nil)
    private let origins = Origins()
    private let client: StackStormClient
    private let settings: StackStormModuleSettings
    private let host: ModuleHost

    /// - Parameter isListening: A function that returns true if the event stream is connected.
    init(
        _ client: StackStormClient, _ settings: StackStormModuleSettings, _ host: ModuleHost,
        isListening: @escaping @Sendable () -> Bool
    ) {
        self.client = client
        self.settings = settings
        self.host = host
        open = OpenExecutions(host.storage, logger: host.logger)
        started = StartedExecutions(host.storage.records("executions"), logger: host.logger)
        orphans = Orphans(client, open: open, logger: host.logger)
        let occasions = ReplayOccasions()
        announcer = Announcer(
            chat: host.chat, places: host.places, ledger: host.storage.ledger, metrics: host.metrics,
            logger: host.logger, overtaken: overtaken, open: open, origins: origins, orphans: orphans,
            writer: settings.writer, defaultBackend: settings.defaultBackend, instance: settings.name
        ) { occasions.note(.routine) }
        replay = Replay(
            client, settings, host: host, announcer: announcer, open: open, occasions: occasions,
            isListening: isListening)
        tracker = Tracker(
            client: client, host: host, open: open, executions: started, replay: replay, grace: settings.gracePeriod)
        client.onRecovery { [tracker] in tracker.wake() }
    }

    /// Loads the pending commands of the last run.
    func restore() async { await open.restore(started, origins, due: .now + settings.gracePeriod) }

    /// Tracks executions until cancelled.
    func run() async {
        tracker.wake()
        await withTaskGroup { group in
            group.addTask { await self.orphans.run { self.announcer.say($0) } }
            group.addTask { await self.replay.run() }
            group.addTask { await self.tracker.run() }
        }
    }

    /// Starts a comparison with the history after the event stream was connected, for announcements that were missed.
    func connected(at time: StackStormTime?) {
        replay.note(.connected(time))
        tracker.wake()
    }

    /// Stores a command before it is sent, so that its user is told the outcome after a crash.
    func intend(
        _ request: String, _ line: String, _ alias: Alias, _ invocation: Invocation, isOrphan: Bool? = nil
    ) async {
        origins.note(request, Origin(address: invocation.address, person: invocation.message.sender.id))
        await open.intend(
            OpenExecution(
                request: request, person: invocation.message.sender.id, address: invocation.address,
                line: line, alias: alias.ref, action: alias.actionRef,
                since: client.now.map { $0 - Self.clockDifference }, isOrphan: isOrphan),
            // Longer than the timeout of a call.
            due: .now + settings.client.limits.answer * 2)
    }

    /// Records that an execution was started.
    func followUp(_ request: String, _ alias: Alias, _ id: String, _ start: StackStormTime?) {
        guard alias.announcesResult else { return open.close(request) }
        open.started(request, id: id, start: start, due: .now + settings.gracePeriod)
    }

    /// Posts the results that arrived before the response to the command.
    ///
    /// - Returns: True if there was one.
    @discardableResult
    func sayOvertaken(_ request: String) -> Bool {
        let results = overtaken.end(request)
        for announced in results { announcer.say(announced) }
        return !results.isEmpty
    }

    /// Starts a search for a command whose outcome is unknown.
    func search(for request: String) {
        open.outcomeIsUnknown(request, due: .now)
        tracker.wake()
    }

    /// Removes old executions from the store.
    func trim() async {
        do {
            try await started.trim()
        } catch is CancellationError {
            return
        } catch {
            host.logger.error("Cannot remove old executions from the store: \(error)")
        }
    }
}

extension Results {
    /// Returns the line of `!status` for results.
    ///
    /// - Parameter isListening: True if the event stream is connected.
    func status(isListening: Bool) -> StatusLine {
        let history = replay.health.value
        let trouble =
            history.problem.map { "; cannot read execution history, missed announcements will not be replayed: \($0)" }
            ?? ""
        return StatusLine(
            "\(settings.name) results",
            isHealthy: history.problem == nil && (history.wasAsked || isListening),
            "\(open.count) pending, \(history.replayed) replayed from history\(trouble)")
    }
}
