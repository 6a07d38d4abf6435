import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// One command that was handed to StackStorm and whose result has not been said.
struct OpenExecution: Codable, Sendable, Equatable {
    /// Petrel's own id of it, which comes back with the result.
    var request: String
    var person: String
    var address: Address
    /// The alias line as it was typed, with its secrets masked.
    var line: String
    var alias: String
    /// The action that the alias runs.
    var action: String
    /// StackStorm's time before it was handed over; nil where that is not known.
    var since: StackStormTime?
    /// Nil while StackStorm's answer is outstanding, and where it never came.
    var id: String?
    /// By StackStorm's clock.
    var start: StackStormTime?
    /// Its request did not travel with it (`match_and_execute`); nil in what an older version kept.
    var isOrphan: Bool?
}

/// The commands whose results are still to come, in memory and in the store.
final class OpenExecutions: Sendable {
    static let collection = "open"
    /// More than this many are not tracked.
    private static let capacity = 20_000
    private static let mostParents = 500

    struct Entry: Sendable {
        var execution: OpenExecution
        /// Since when it is known here, by a clock that does not jump.
        var since = ContinuousClock.now
        /// When to look after it next.
        var due: ContinuousClock.Instant
        /// How often it was looked for in vain.
        var attempts = 0
        /// How often an unknown outcome was looked for in a history that could be read.
        var looks = 0
        /// Since when it is known to have ended.
        var ended: ContinuousClock.Instant?
        /// This process handed it over, and whoever did that knows how it ended or that it is not known.
        var isWatched: Bool
        /// What was said at its start, where the backend can change it; see ``Reply/handle``.
        var acknowledgement: Reply?

        /// Whether it was started is not known, and nobody waits for the answer that would tell.
        var isSearched: Bool { execution.id == nil && (!isWatched || isUnknown) }
        /// The answer to the call did not come.
        var isUnknown = false
    }

    private struct State {
        var entries: [String: Entry] = [:]
        /// Runs of notify rules that lost the context: what they announced is only known through them.
        var parents: [String] = []
        var knownParents: Set<String> = []
    }

    private let state = Locked(State())
    private let records: any RecordCollection
    private let logger: Logger

    init(_ storage: any Storage, logger: Logger) {
        self.logger = logger
        records = storage.records(Self.collection)
    }

    /// What an earlier run left open, and where the results of everything that it started go.
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
                    state.entries[execution.request] = Entry(
                        execution: execution, due: execution.id == nil ? .now : due, isWatched: false)
                }
            }
        } catch {
            logger.error("The executions whose results are to come cannot be read: \(error)")
        }
    }

    /// Stored before StackStorm hears of it, so that a crash leaves a trace.
    func intend(_ execution: OpenExecution, due: ContinuousClock.Instant) async {
        let isTracked = state.withLock { state in
            guard state.entries.count < Self.capacity else { return false }
            state.entries[execution.request] = Entry(execution: execution, due: due, isWatched: true)
            return true
        }
        guard isTracked else {
            return logger.warning("Too many executions are open: \(execution.alias) is not followed to its end.")
        }
        do {
            await records.keep(try JSONValue.encode(execution), for: execution.request)
        } catch {
            logger.error("Cannot store that \(execution.alias) is about to be started: \(error)")
        }
    }

    /// StackStorm has it. ``StartedExecutions`` keeps that.
    func started(_ request: String, id: String, start: StackStormTime?, due: ContinuousClock.Instant) {
        state.withLock { state in
            // Its result may have been quicker.
            guard var entry = state.entries[request] else { return }
            entry.execution.id = id
            entry.execution.start = start
            entry.due = due
            entry.attempts = 0
            entry.isWatched = true
            state.entries[request] = entry
        }
    }

    /// This was said at its start, and may be changed as it goes on.
    func acknowledged(_ request: String, with reply: Reply) {
        state.withLock { $0.entries[request]?.acknowledgement = reply }
    }

    /// What was said at its start, as it should read now; nil where it cannot be changed.
    /// - Parameter isOver: it has ended.
    func progress(_ request: String, isOver: Bool) -> Reply? {
        guard let entry = state.withLock({ $0.entries[request] }), var reply = entry.acknowledgement else { return nil }
        let age = entry.since.duration(to: .now)
        reply.append(isOver ? "(ended after \(age.inWords))" : "(running for \(age.inWords))")
        if isOver { reply.buttons.removeAll { $0.style == .danger } }
        reply.promises = nil
        return reply
    }

    /// Nothing more is expected of it.
    func close(_ request: String) {
        if state.withLock({ $0.entries.removeValue(forKey: request) }) != nil { records.put(nil, for: request) }
    }

    /// The record that the store removes together with saying the result; nil where none is expected.
    func record(of request: String) -> (collection: String, key: String)? {
        state.withLock { $0.entries[request] }.map { _ in (Self.collection, request) }
    }

    /// Its result is said, and its record goes with that. Nobody who has read the result is told that it still runs.
    func end(_ request: String, saying say: () throws -> Void) rethrows {
        let entry = state.withLock { $0.entries.removeValue(forKey: request) }
        do {
            try say()
        } catch {
            state.withLock { $0.entries[request] = entry }
            throw error
        }
    }

    /// StackStorm's answer did not come, or not whole: it has to be looked for.
    func outcomeIsUnknown(_ request: String, due: ContinuousClock.Instant) {
        state.withLock { state in
            state.entries[request]?.due = due
            state.entries[request]?.isUnknown = true
        }
    }

    func postpone(_ request: String, until due: ContinuousClock.Instant) {
        state.withLock { state in
            state.entries[request]?.due = due
            state.entries[request]?.attempts += 1
        }
    }

    /// It was looked for in a history that could be read, and was not there.
    func looked(_ request: String, next due: ContinuousClock.Instant) {
        state.withLock { state in
            state.entries[request]?.due = due
            state.entries[request]?.looks += 1
        }
    }

    /// What is looked for, and was not looked for in vain yet, is due now.
    func hastenSearches() {
        state.withLock { state in
            for (request, entry) in state.entries where entry.isSearched && entry.looks == 0 {
                state.entries[request]?.due = .now
            }
        }
    }

    /// Until something that is looked for is due; nil where nothing is looked for.
    var untilNextSearch: Duration? {
        let due = state.withLock { state in state.entries.values.lazy.filter(\.isSearched).map(\.due).min() }
        return due.map { max(ContinuousClock.now.duration(to: $0), .milliseconds(10)) }
    }

    /// Whether an announcement without our context may speak of a command that was given in this place.
    /// - Parameter channel: as StackStorm has it.
    func awaitsOrphan(in channel: String) -> Bool {
        state.withLock { state in
            state.entries.values.contains { entry in
                entry.execution.isOrphan == true
                    && Templates.disarmed(entry.execution.address.place.id) == channel
            }
        }
    }

    /// The request of an execution that is open.
    func request(ofExecution id: String) -> String? {
        state.withLock { state in state.entries.first { $0.value.execution.id == id }?.key }
    }

    /// It has ended by now. Returns how long that is known.
    func noteEnd(_ request: String) -> Duration {
        state.withLock { state in
            let since = state.entries[request]?.ended ?? .now
            state.entries[request]?.ended = since
            return since.duration(to: .now)
        }
    }

    /// Those that it is time to look after.
    func due(at time: ContinuousClock.Instant = .now) -> [Entry] {
        state.withLock { $0.entries.values.filter { $0.due <= time } }
    }

    /// The executions of one person on one backend that have not ended as far as is known, the oldest first.
    func all(of person: String, on backend: String) -> [OpenExecution] {
        state.withLock { state in
            state.entries.values.filter { $0.execution.person == person && $0.execution.address.backend == backend }
                .sorted { $0.since < $1.since }.map(\.execution)
        }
    }

    var count: Int { state.withLock { $0.entries.count } }

    func noteParent(_ parent: String?) {
        guard let parent else { return }
        state.withLock { state in
            guard !state.entries.isEmpty, state.knownParents.insert(parent).inserted else { return }
            state.parents.append(parent)
            if state.parents.count > Self.mostParents { state.knownParents.remove(state.parents.removeFirst()) }
        }
    }

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

extension Speaking {
    /// In the place of what was said under the same handle.
    func show(_ reply: Reply, on backend: String) {
        if let handle = reply.handle { replace(handle, with: reply, on: backend) }
    }
}
