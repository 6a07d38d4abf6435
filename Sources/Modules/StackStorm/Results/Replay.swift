import CoreMetrics
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// Replays announcements that were missed on the event stream.
///
/// StackStorm's stream cannot be resumed, but every announcement is also an execution. The executions since the cursor
/// are compared with the ledger of posted announcements after every interruption, and at intervals.
actor Replay {
    enum Occasion: Sendable {
        /// The stream was connected at this time of StackStorm's clock. Earlier announcements were missed.
        case connected(StackStormTime?)
        case routine
    }

    struct Health: Sendable {
        /// True after the first request for the history, whether or not it succeeded.
        var wasAsked = false
        /// The reason why the history cannot be read, or nil.
        var problem: String?
        /// The number of replayed announcements.
        var replayed = 0
    }

    /// The pause between two comparisons without an interruption.
    private static let interval = Duration.seconds(15)
    private static let retrying = Duration.seconds(2)
    /// The maximum time between the appearance of an announcement in the history and on the stream.
    private static let latency = Duration.seconds(1)
    private static let pageSize = 100
    private static let key = "cursor"

    private let client: StackStormClient
    private let routes: Set<String>
    private let window: Duration
    private let host: ModuleHost
    private let announcer: Announcer
    private let open: OpenExecutions
    private let isListening: @Sendable () -> Bool
    private let records: any RecordCollection
    private let occasions: ReplayOccasions
    private var cursor: ReplayCursor?
    private var running: Task<Bool, Never>?
    /// The time of the last connection of the stream. An earlier announcement that was not posted was missed.
    private var connectedAt: StackStormTime?
    /// The announcements of the history that were not posted and may still arrive on the stream, and the times at which
    /// they were found.
    private var pending: [String: ContinuousClock.Instant] = [:]
    nonisolated let health = Locked(Health())
    private let replayed: Counter

    init(
        _ client: StackStormClient, _ settings: StackStormModuleSettings, host: ModuleHost, announcer: Announcer,
        open: OpenExecutions, occasions: ReplayOccasions, isListening: @escaping @Sendable () -> Bool
    ) {
        self.client = client
        routes = Set(settings.routes)
        window = settings.replayWindow
        self.host = host
        self.announcer = announcer
        self.open = open
        self.occasions = occasions
        self.isListening = isListening
        records = host.storage.records("replay")
        replayed = Counter(
            label: "petrel_results_replayed_total", dimensions: [("instance", settings.name)], factory: host.metrics)
    }

    nonisolated func note(_ occasion: Occasion) { occasions.note(occasion) }

    /// Compares the history with the ledger on every occasion, until cancelled.
    func run() async {
        await restore()
        await withTaskGroup { group in
            group.addTask {
                while !Task.isCancelled {
                    // Only cancellation ends the sleep early, and the loop checks for it.
                    try? await Task.sleep(for: Self.interval)
                    self.note(.routine)
                }
            }
            for await occasion in occasions.stream {
                if case .connected(let time) = occasion { connectedAt = time }
                await lookUntilDone(occasion)
                if !pending.isEmpty { group.addTask { await self.noteLater() } }
            }
            group.cancelAll()
        }
    }

    /// Requests a comparison at the time when pending announcements count as missed.
    private func noteLater() async {
        try? await Task.sleep(for: Self.latency + .milliseconds(50))
        note(.routine)
    }

    /// Repeats the comparison after an interruption until it succeeds, because StackStorm's API may be down too. A
    /// routine comparison is repeated anyway.
    private func lookUntilDone(_ occasion: Occasion) async {
        while !Task.isCancelled {
            if await look() { return }
            guard case .connected = occasion else { return }
            try? await Task.sleep(for: Self.retrying)
        }
    }

    /// Compares the history with the ledger. Returns true if the history could be read.
    ///
    /// Comparisons run one after the other, because concurrent ones would replay the same announcements.
    @discardableResult
    func look() async -> Bool {
        let last = running
        let task = Task {
            _ = await last?.value
            return await lookOnce()
        }
        running = task
        return await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
    }

    private func lookOnce() async -> Bool {
        do {
            try await compare()
            health.withLock { health in
                health.problem = nil
                health.wasAsked = true
            }
            return true
        } catch {
            if Task.isCancelled { return false }
            let problem = (error as? StackStormError)?.diagnosis ?? "\(error)"
            let isNew = health.withLock { health in
                defer {
                    health.problem = problem
                    health.wasAsked = true
                }
                return health.problem != problem
            }
            if isNew {
                host.logger.warning(
                    "Cannot read StackStorm's execution history; missed announcements will not be replayed: \(error)"
                )
            }
            // A retry cannot succeed.
            return (error as? StackStormError)?.code == .forbidden
        }
    }

    private func restore() async {
        do {
            cursor = try await records.value(for: Self.key).map {
                try JSONDecoder().decode(ReplayCursor.self, from: Data($0))
            }
        } catch is CancellationError {
            return
        } catch {
            host.logger.error("Cannot read the position in StackStorm's execution history: \(error)")
        }
    }

    private func keep(_ cursor: ReplayCursor) throws {
        self.cursor = cursor
        records.put(try JSONValue.encode(cursor), for: Self.key)
    }

    /// Begins at the newest announcement, for an empty store.
    private func begin() async throws {
        let page = try await client.call(.announcements(HistoryFilter(limit: 1, isNewestFirst: true)))
        let present = page.items.first?.start
        try keep(ReplayCursor(time: present, floor: present))
    }

    private func compare() async throws {
        guard var cursor else { return try await begin() }
        let number = try await host.storage.ledger.last()
        let isMissed = missed()
        var pending: [String: ContinuousClock.Instant] = [:]
        var newest: StackStormTime?
        var open: StackStormTime?
        var now: StackStormTime?
        try await cutOff(&cursor)
        var filter = HistoryFilter(after: cursor.start, limit: Self.pageSize)
        while true {
            let page = try await client.call(.announcements(filter))
            let due = page.items.filter { $0.isFinished }
            for run in page.items where !run.isFinished { open = min(open ?? run.start, run.start) }
            for run in try await unsaid(among: due) {
                if isMissed(run) {
                    replay(run, page.now)
                } else {
                    pending[run.id] = self.pending[run.id] ?? .now
                    open = min(open ?? run.start, run.start)
                }
            }
            newest = page.items.last?.start ?? newest
            now = page.now
            filter.offset += page.count
            if page.count < Self.pageSize { break }
        }
        self.pending = pending
        if let now, try follow(now, &cursor) { return try await compare() }
        cursor.advance(newest: newest, open: open, number: number)
        let forgettable = cursor.forgettable()
        if cursor.isWorthKeeping(over: self.cursor) { try keep(cursor) } else { self.cursor = cursor }
        try await host.storage.ledger.forget(through: forgettable.all ?? 0, heardThrough: forgettable.heard ?? 0)
    }

    /// Follows StackStorm's clock. Returns true if the clock was set back and the cursor was moved with it.
    private func follow(_ now: StackStormTime, _ cursor: inout ReplayCursor) throws -> Bool {
        switch cursor.follow(now) {
        case .steady: return false
        case .setBack:
            host.logger.notice(
                "StackStorm's clock was set back; its execution history is read again from the new time.")
            try keep(cursor)
            return true
        case .setBackTooFar(let jump, let end):
            host.chat.tellAdmins(
                "StackStorm's clock was set back by \(jump.inWords). Until it shows \(end) again, announcements that are "
                    + "missed on the event stream are not replayed: check StackStorm's history after an interruption.")
            return false
        }
    }

    /// Moves the cursor into the replay window, and tells the administrators how many announcements that skips.
    private func cutOff(_ cursor: inout ReplayCursor) async throws {
        guard let time = cursor.time else { return }
        // The time of StackStorm is not known before its first response.
        if client.now == nil { _ = try await client.call(.announcements(HistoryFilter(limit: 1))) }
        guard let now = client.now, time < now - window else { return }
        let limit = now - window
        let page = try await client.call(.announcements(HistoryFilter(after: time, before: limit, limit: 1)))
        if let count = page.total, count > 0 {
            host.chat.tellAdmins(
                "Announcements older than replay_window (\(window.inWords)) were not posted: \(count) between \(time) "
                    + "and \(limit). StackStorm's history contains them.")
        }
        cursor.skip(to: limit)
        try keep(cursor)
    }

    /// Returns the announcements for this module that the ledger does not contain.
    private func unsaid(among runs: [AnnouncementRun]) async throws -> [AnnouncementRun] {
        let wanted = runs.filter { routes.contains($0.route) && $0.status != "canceled" }
            .map { ($0, Announced($0)) }.filter { announcer.isOurs($0.1) }
        for (run, announced) in wanted where announced.request == nil { open.noteParent(run.parent) }
        let unsaid = Set(try await host.storage.ledger.unsaid(among: wanted.map(\.1.entry)).map(\.source))
        return wanted.map(\.0).filter { unsaid.contains($0.id) }
    }

    /// Returns a function that returns true for an announcement that will not arrive on the stream.
    private func missed() -> (AnnouncementRun) -> Bool {
        let isListening = isListening()
        let (connectedAt, pending) = (connectedAt, pending)
        return { run in
            guard isListening else { return true }
            if let connectedAt, let end = run.end, end < connectedAt { return true }
            // The clocks of StackStorm's hosts may differ, so this does not depend on them.
            return pending[run.id].map { $0.duration(to: .now) >= Self.latency } ?? false
        }
    }

    private func replay(_ run: AnnouncementRun, _ now: StackStormTime?) {
        var announced = Announced(run)
        let end = run.end ?? run.start
        announced.age = now.map { max($0 - end, .zero) } ?? .zero
        let mayStillCome = connectedAt.map { end > $0 - .seconds(10) } ?? true
        announcer.replay(announced, mayStillCome: mayStillCome)
        health.withLock { $0.replayed += 1 }
        replayed.increment()
    }
}

extension Announced {
    init(_ run: AnnouncementRun) {
        self.init(run.announcement, route: run.route)
        source = run.id
        parent = run.parent
    }
}

/// A bounded queue of occasions to compare the history with the ledger. One comparison can serve several.
struct ReplayOccasions: Sendable {
    let stream: AsyncStream<Replay.Occasion>
    private let continuation: AsyncStream<Replay.Occasion>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream(of: Replay.Occasion.self, bufferingPolicy: .bufferingNewest(16))
    }

    func note(_ occasion: Replay.Occasion) { continuation.yield(occasion) }
}
