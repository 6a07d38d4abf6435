import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// A command that was sent to StackStorm and whose result was not posted yet.
struct OpenExecution: Codable, Sendable, Equatable {
    /// The request ID, which StackStorm returns with the result; see ``RequestID``.
    var request: String
    var person: String
    var address: Address
    /// The line as typed, with secrets masked.
    var line: String
    var alias: String
    /// The reference of the action that the alias runs.
    var action: String
    /// A time of StackStorm's clock before the command was sent; nil if it is not known.
    var since: StackStormTime?
    /// The execution ID; nil until StackStorm has responded.
    var id: String?
    /// The start of the execution, by StackStorm's clock.
    var start: StackStormTime?
    /// True if StackStorm does not return the request ID, because it was not sent (`match_and_execute`). Nil in records
    /// of older versions.
    var isOrphan: Bool?
}

/// The commands whose results are pending, in memory and in the store.
final class OpenExecutions: Sendable {
    static let collection = "open"
    /// The maximum number of tracked commands.
    private static let capacity = 20_000
    private static let mostParents = 500

    /// A command and the state of its tracking.
    struct Entry: Sendable {
        var execution: OpenExecution
        /// The time at which this process learned of the command.
        var since = ContinuousClock.now
        /// The time of the next check.
        var due: ContinuousClock.Instant
        /// The number of checks without a result.
        var attempts = 0
        /// The number of searches for an unknown outcome in a history that could be read.
        var looks = 0
        /// The time since which the execution is known to have ended.
        var ended: ContinuousClock.Instant?
        /// True if this process has sent the command. The caller then reports the response, or that there was none.
        var isWatched: Bool
        /// The acknowledgement, if the backend can replace it; see ``DeliveryMarks/handle``.
        var acknowledgement: Reply?

        /// True if it is not known whether the execution was started, and no caller waits for the response.
        var isSearched: Bool { execution.id == nil && (!isWatched || isUnknown) }
        /// True if there was no valid response to the call.
        var isUnknown = false
    }

    private struct State {
        var entries: [String: Entry] = [:]
        /// The requests that did not travel with their executions, by the channel in StackStorm: every announcement asks.
        var orphans: [String: Set<String>] = [:]
        /// The executions of notify rules whose announcements had no context. They name the executions that were
        /// announced.
        var parents: [String] = []
        var knownParents: Set<String> = []

        mutating func insert(_ entry: Entry) {
            entries[entry.execution.request] = entry
            if let channel = Self.orphanChannel(of: entry) {
                orphans[channel, default: []].insert(entry.execution.request)
            }
        }

        mutating func remove(_ request: String) -> Entry? {
            guard let entry = entries.removeValue(forKey: request) else { return nil }
            if let channel = Self.orphanChannel(of: entry) {
                orphans[channel]?.remove(request)
                if orphans[channel]?.isEmpty == true { orphans[channel] = nil }
            }
            return entry
        }

        private static func orphanChannel(of entry: Entry) -> String? {
            entry.execution.isOrphan == true ? Templates.disarmed(entry.execution.address.place.id) : nil
        }
    }

    private let state = Locked(State())
    private let records: any RecordCollection
    private let logger: Logger

    init(_ storage: any Storage, logger: Logger) {
        self.logger = logger
        records = storage.records(Self.collection)
    }

    /// Loads the pending commands of the last run, and the origins of all commands that it started.
    func restore(_ started: StartedExecutions, _ origins: Origins, due: ContinuousClock.Instant) async {
        do {
            let known = try await started.byRequest()
            origins.restore(
                known.sorted { $0.key < $1.key }.map {
                    ($0.key, Origin(address: $0.value.address, person: $0.value.person))
                })
            let all = try await records.all().decoded(as: OpenExecution.self, "open execution", logger)
            guard !all.isEmpty else { return }
            origins.restore(all.map { ($0.request, Origin(address: $0.address, person: $0.person)) })
            state.withLock { state in
                for var execution in all {
                    execution.id = known[execution.request]?.id
                    execution.start = known[execution.request]?.start
                    state.insert(
                        Entry(execution: execution, due: execution.id == nil ? .now : due, isWatched: false))
                }
            }
        } catch is CancellationError {
            return
        } catch {
            logger.error("Cannot read the pending executions: \(error)")
        }
    }

    /// Stores a command before it is sent to StackStorm, so that it is known after a crash.
    func intend(_ execution: OpenExecution, due: ContinuousClock.Instant) async {
        let isTracked = state.withLock { state in
            guard state.entries.count < Self.capacity else { return false }
            state.insert(Entry(execution: execution, due: due, isWatched: true))
            return true
        }
        guard isTracked else {
            return logger.warning("Too many executions are pending; \(execution.alias) is not tracked.")
        }
        do {
            await records.keep(try JSONValue.encode(execution), for: execution.request)
        } catch {
            logger.error("Cannot store that \(execution.alias) is about to be started: \(error)")
        }
    }

    /// Records that StackStorm has started a command. ``StartedExecutions`` stores that.
    func started(_ request: String, id: String, start: StackStormTime?, due: ContinuousClock.Instant) {
        state.withLock { state in
            // The result may already have been posted.
            guard var entry = state.entries[request] else { return }
            entry.execution.id = id
            entry.execution.start = start
            entry.due = due
            entry.attempts = 0
            entry.isWatched = true
            state.entries[request] = entry
        }
    }

    /// Sets the acknowledgement, which is replaced to show progress.
    func acknowledged(_ request: String, with reply: Reply) {
        state.withLock { $0.entries[request]?.acknowledgement = reply }
    }

    /// Returns the acknowledgement with the current progress, or nil if it cannot be replaced.
    ///
    /// - Parameter isOver: True if the execution has ended.
    func progress(_ request: String, isOver: Bool) -> Reply? {
        guard let entry = state.withLock({ $0.entries[request] }), var reply = entry.acknowledgement else { return nil }
        let age = entry.since.duration(to: .now)
        reply.append(isOver ? "(ended after \(age.inWords))" : "(running for \(age.inWords))")
        if isOver { reply.buttons.removeAll { $0.style == .danger } }
        return reply
    }

    /// Stops tracking a command.
    func close(_ request: String) {
        if state.withLock({ $0.remove(request) }) != nil { records.put(nil, for: request) }
    }

    /// Returns the record that the store removes together with posting the result, or nil if the command is not
    /// tracked.
    func record(of request: String) -> (collection: String, key: String)? {
        state.withLock { $0.entries[request] }.map { _ in (Self.collection, request) }
    }

    /// Stops tracking a command and posts its result. Tracking stops first, so that a user who has read the result is
    /// not told that the command is still running. It continues if posting fails.
    func end(_ request: String, saying say: () throws -> Void) rethrows {
        let entry = state.withLock { $0.remove(request) }
        do {
            try say()
        } catch {
            if let entry { state.withLock { $0.insert(entry) } }
            throw error
        }
    }

    /// Records that there was no valid response to a command, which has to be searched for.
    func outcomeIsUnknown(_ request: String, due: ContinuousClock.Instant) {
        state.withLock { state in
            state.entries[request]?.due = due
            state.entries[request]?.isUnknown = true
        }
    }

    /// Sets the time of the next check after one without a result.
    func postpone(_ request: String, until due: ContinuousClock.Instant) {
        state.withLock { state in
            state.entries[request]?.due = due
            state.entries[request]?.attempts += 1
        }
    }

    /// Records a search in a history that could be read and did not contain the execution.
    func looked(_ request: String, next due: ContinuousClock.Instant) {
        state.withLock { state in
            state.entries[request]?.due = due
            state.entries[request]?.looks += 1
        }
    }

    /// Makes all searches due now, except for those with a completed attempt.
    func hastenSearches() {
        state.withLock { state in
            for (request, entry) in state.entries where entry.isSearched && entry.looks == 0 {
                state.entries[request]?.due = .now
            }
        }
    }

    /// The time until the next search; nil if none exists.
    var untilNextSearch: Duration? {
        let due = state.withLock { state in state.entries.values.lazy.filter(\.isSearched).map(\.due).min() }
        return due.map { max(ContinuousClock.now.duration(to: $0), .milliseconds(10)) }
    }

    /// Returns true if an announcement without context may be the result of a command from a channel.
    ///
    /// - Parameter channel: The name of the channel in StackStorm.
    func awaitsOrphan(in channel: String) -> Bool {
        state.withLock { $0.orphans[channel] != nil }
    }

    /// Returns the request ID of a pending execution.
    func request(ofExecution id: String) -> String? {
        state.withLock { state in state.entries.first { $0.value.execution.id == id }?.key }
    }

    /// Records that an execution has ended. Returns the time for which that is known.
    func noteEnd(_ request: String) -> Duration {
        state.withLock { state in
            let since = state.entries[request]?.ended ?? .now
            state.entries[request]?.ended = since
            return since.duration(to: .now)
        }
    }

    /// Returns the commands whose next check is due.
    func due(at time: ContinuousClock.Instant = .now) -> [Entry] {
        state.withLock { $0.entries.values.filter { $0.due <= time } }
    }

    /// Returns the pending executions of a user, the oldest first.
    func all(of person: String, on backend: String) -> [OpenExecution] {
        state.withLock { state in
            state.entries.values.filter { $0.execution.person == person && $0.execution.address.backend == backend }
                .sorted { $0.since < $1.since }.map(\.execution)
        }
    }

    var count: Int { state.withLock { $0.entries.count } }

    /// Adds the parent of an announcement without context, for ``takeParents()``.
    func noteParent(_ parent: String?) {
        guard let parent else { return }
        state.withLock { state in
            guard !state.entries.isEmpty, state.knownParents.insert(parent).inserted else { return }
            state.parents.append(parent)
            if state.parents.count > Self.mostParents { state.knownParents.remove(state.parents.removeFirst()) }
        }
    }

    /// Removes and returns the parents of announcements without context.
    func takeParents() -> [String] {
        state.withLock { state in
            defer {
                state.parents = []
                state.knownParents = []
            }
            return state.parents
        }
    }
}
