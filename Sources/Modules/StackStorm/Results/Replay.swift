import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// Finds what the stream did not bring, and has it said.
///
/// StackStorm's stream cannot be resumed, but every announcement is an execution as well. The executions since the
/// cursor are compared with the ledger of what was said, after every gap and now and then besides.
actor Replay {
    enum Occasion: Sendable {
        /// The stream was connected: what came before then was missed on it.
        case connected(StackStormTime?)
        case routine
    }

    struct Health: Sendable {
        /// It was asked for the history, well or badly.
        var wasAsked = false
        /// Why the history cannot be had.
        var problem: String?
        var replayed = 0
    }

    /// Between two looks at the history while all is well.
    private static let interval = Duration.seconds(15)
    private static let retrying = Duration.seconds(2)
    /// The stream brings an announcement within this time after the history has it, if it brings it at all.
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
    /// What ended before this moment, and was not said, was missed: the stream was not there to bring it.
    private var connectedAt: StackStormTime?
    /// What the history had and nobody had said, and since when: the stream may still bring it.
    private var pending: [String: ContinuousClock.Instant] = [:]
    nonisolated let health = Locked(Health())

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
    }

    nonisolated func note(_ occasion: Occasion) { occasions.note(occasion) }

    /// Looks at the history on every occasion, until cancelled.
    func run() async {
        await restore()
        await withTaskGroup { group in
            group.addTask {
                while !Task.isCancelled {
                    // Only cancellation ends a sleep early, and the loop looks for it.
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

    /// Once it is known what the stream does not bring.
    private func noteLater() async {
        try? await Task.sleep(for: Self.latency + .milliseconds(50))
        note(.routine)
    }

    /// A gap must not be forgotten because StackStorm's API was down as well. A routine look comes again by itself.
    private func lookUntilDone(_ occasion: Occasion) async {
        while !Task.isCancelled {
            if await look() { return }
            guard case .connected = occasion else { return }
            try? await Task.sleep(for: Self.retrying)
        }
    }

    /// Whether the history could be had. Whoever asks meanwhile waits for one more look: two at once would both find
    /// the same.
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
                    "StackStorm's history cannot be read: until it can, gaps in the stream are not filled. (\(error))"
                )
            }
            // Asking again cannot help.
            return (error as? StackStormError)?.code == .forbidden
        }
    }

    private func restore() async {
        do {
            cursor = try await records.value(for: Self.key).map {
                try JSONDecoder().decode(ReplayCursor.self, from: Data($0))
            }
        } catch {
            host.logger.error("How far StackStorm's announcements were said cannot be read: \(error)")
        }
    }

    private func keep(_ cursor: ReplayCursor) throws {
        self.cursor = cursor
        records.put(try JSONValue.encode(cursor), for: Self.key)
    }

    /// An empty store begins at StackStorm's present.
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

    /// Whether StackStorm's clock was set back, and the cursor with it.
    private func follow(_ now: StackStormTime, _ cursor: inout ReplayCursor) throws -> Bool {
        switch cursor.follow(now) {
        case .steady: return false
        case .setBack:
            host.logger.notice("StackStorm's clock was set back: its history is read again from there.")
            try keep(cursor)
            return true
        case .setBackTooFar(let jump, let end):
            host.chat.tellAdmins(
                "StackStorm's clock was set back by \(jump.inWords). Until it shows \(end) again, what its stream does "
                    + "not bring is not made up for: look into its history after a disturbance.")
            return false
        }
    }

    /// Moves the cursor into the window. Tells, once, what that cuts off.
    private func cutOff(_ cursor: inout ReplayCursor) async throws {
        guard let time = cursor.time else { return }
        // Where StackStorm was down until now, nothing has told its time yet.
        if client.now == nil { _ = try await client.call(.announcements(HistoryFilter(limit: 1))) }
        guard let now = client.now, time < now - window else { return }
        let limit = now - window
        let page = try await client.call(.announcements(HistoryFilter(after: time, before: limit, limit: 1)))
        if let count = page.total, count > 0 {
            host.chat.tellAdmins(
                "Not said, because it is older than replay_window (\(window.inWords)): what StackStorm announced "
                    + "between \(time) and \(limit), \(count) in all. Its history has it.")
        }
        cursor.skip(to: limit)
        try keep(cursor)
    }

    private func unsaid(among runs: [AnnouncementRun]) async throws -> [AnnouncementRun] {
        let wanted = runs.filter { routes.contains($0.route) && $0.status != "canceled" }
            .map { ($0, Announced($0)) }.filter { announcer.isOurs($0.1) }
        for (run, announced) in wanted where announced.request == nil { open.noteParent(run.parent) }
        let unsaid = Set(try await host.storage.ledger.unsaid(among: wanted.map(\.1.entry)).map(\.source))
        return wanted.map(\.0).filter { unsaid.contains($0.id) }
    }

    /// What tells that the stream will not bring an announcement any more.
    private func missed() -> (AnnouncementRun) -> Bool {
        let isListening = isListening()
        let (connectedAt, pending) = (connectedAt, pending)
        return { run in
            guard isListening else { return true }
            if let connectedAt, let end = run.end, end < connectedAt { return true }
            // StackStorm's parts may tell different times: what counts is that it did not come.
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
    }
}

extension Announced {
    init(_ run: AnnouncementRun) {
        self.init(run.announcement, route: run.route)
        source = run.id
        parent = run.parent
    }
}

/// The reasons to look at the execution history, in their order. Bounded: one look serves several.
struct ReplayOccasions: Sendable {
    let stream: AsyncStream<Replay.Occasion>
    private let continuation: AsyncStream<Replay.Occasion>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream(of: Replay.Occasion.self, bufferingPolicy: .bufferingNewest(16))
    }

    func note(_ occasion: Replay.Occasion) { continuation.yield(occasion) }
}
