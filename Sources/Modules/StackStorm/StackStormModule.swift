package import Foundation
import Logging
package import PetrelKit
package import PetrelSupport
import StackStormClient

/// The bridge to one StackStorm: aliases from chat, results back to chat.
package final class StackStormModule: BotModule, StatusReporting, GaugeReporting, WebRoutes {
    package let name: String
    let settings: StackStormModuleSettings
    let client: StackStormClient
    let logger: Logger
    let table = Locked<AliasTable?>(nil)
    let executions = Locked<StartedExecutions?>(nil)
    let announcer = Locked<Announcer?>(nil)
    let open = Locked<OpenExecutions?>(nil)
    let replay = Locked<Replay?>(nil)
    let orphans = Locked<Orphans?>(nil)
    let tracker = Locked<Tracker?>(nil)
    let overtaken = OvertakenResults()
    let origins = Origins()
    let accounts = Locked<Accounts?>(nil)
    let tokens = Locked<ImpersonatedTokens?>(nil)
    let actions = Locked(KnownActions())
    let lastStart = Locked<ContinuousClock.Instant?>(nil)
    let inquiries = Locked<InquiryWatch?>(nil)
    let host: ModuleHost
    package let routes: [WebRoute]
    let logins: (any LoginDesk)?
    let now: @Sendable () -> Date
    private let syncHealth = Locked(AliasSync.Health())
    private let sync = Locked<AliasSync?>(nil)
    /// The actions that StackStorm was last asked for.
    private let asked = Locked<Set<String>>([])
    private let stream: EventStream
    private let wanted: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)

    /// - Parameters:
    ///   - logins: where people log in; needed where the settings say that they do.
    ///   - now: the time by which logins end.
    package init(
        _ settings: StackStormModuleSettings, host: ModuleHost, on loop: EventLoopExecutor = EventLoopExecutor(),
        logins: (any LoginDesk)? = nil, routes: [WebRoute] = [], now: @escaping @Sendable () -> Date = { .now }
    ) throws {
        self.settings = settings
        self.host = host
        self.routes = routes
        logger = host.logger
        self.logins = logins
        self.now = now
        name = settings.name
        let meters = CallMeters(host.metrics)
        client = try StackStormClient(settings.client, on: loop, logger: logger) { meters.note($0, $1) }
        stream = EventStream(
            client, events: settings.routes.map { "st2.announcement__\($0)" } + ["st2.actionalias__*"])
        wanted = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    package var commands: [Command] {
        let helpName = settings.helpName
        return [
            Command(
                settings.prefix, usage: "<command>",
                summary: "Run a command of StackStorm; \(helpName) lists them. Also: \(VerbCall.usage).",
                parse: { [self] in parse($0, $1) },
                lines: { [table, settings] in
                    (table.value?.displays ?? []).map { settings.prefix.isEmpty ? $0 : "\(settings.prefix) \($0)" }
                },
                handler: { [self] in try await run($0) }),
            Command(
                helpName, usage: "[--pack PACK] [--filter TEXT] [--limit N] [--offset N]",
                summary: "The commands of StackStorm.", handler: { [self] in try await help(for: $0) }),
        ] + accountCommands
    }

    package var preparesItself: Bool { true }

    /// Fetches the aliases before anybody asks for them; what was kept of the last run serves until then.
    private func prepare() async {
        let sync = AliasSync(client, table: table, health: syncHealth, host: host)
        self.sync.withLock { $0 = sync }
        await followResults()
        await sync.restore()
        await restoreAccounts()
        do {
            try await sync.sync()
        } catch is CancellationError {
            return
        } catch {
            host.logger.warning("StackStorm's aliases cannot be fetched yet: \(error)")
        }
        await learnActions()
    }

    /// What was open when the last run ended is followed on.
    private func followResults() async {
        let open = OpenExecutions(host.storage, logger: host.logger)
        let started = StartedExecutions(host.storage.records("executions"))
        await open.restore(started, origins, due: .now + settings.gracePeriod)
        executions.withLock { $0 = started }
        let orphans = Orphans(client, open: open, logger: host.logger)
        let announcer = Announcer(
            chat: host.chat, places: host.places, ledger: host.storage.ledger, metrics: host.metrics,
            logger: host.logger, overtaken: overtaken, open: open, origins: origins, orphans: orphans,
            writer: settings.writer, defaultBackend: settings.defaultBackend, instance: name
        ) { [replay] in
            replay.value?.note(.routine)
        }
        let stream = stream
        let replay = Replay(client, settings, host: host, announcer: announcer, open: open) {
            stream.currentHealth.isConnected
        }
        self.open.withLock { $0 = open }
        self.orphans.withLock { $0 = orphans }
        self.announcer.withLock { $0 = announcer }
        self.replay.withLock { $0 = replay }
    }

    private func restoreAccounts() async {
        let isKept = settings.secretsStore == .encrypted
        let sealed = await credentials("sessions", areKept: isKept)
        let links: any RecordCollection = isKept ? host.storage.records("account_links") : MemoryRecords()
        let accounts = Accounts(sealed, links: links, logger: host.logger, now: now)
        await accounts.restore(for: settings.place)
        self.accounts.withLock { $0 = accounts }
        let isOn = settings.impersonation != nil
        let tokens = ImpersonatedTokens(
            client, await credentials("impersonations", areKept: isKept && isOn), for: settings.place,
            logger: host.logger, now: now)
        await tokens.restore()
        self.tokens.withLock { $0 = tokens }
    }

    /// Where credentials of people lie. What an earlier configuration kept there goes, where none are kept now.
    private func credentials(
        _ collection: String, areKept: Bool
    ) async -> any RecordCollection {
        let sealed = host.storage.sealed(collection)
        guard !areKept else { return sealed }
        do {
            try await sealed.replaceAll(with: [])
        } catch {
            host.logger.error("The stored logins of an earlier configuration could not be removed: \(error)")
        }
        return MemoryRecords()
    }

    package func run() async throws {
        await prepare()
        await withTaskGroup { group in
            // A command that runs before the stream is there would have its result announced to nobody.
            group.addTask {
                await self.stream.attempted.wait()
                self.host.commands.ready()
            }
            group.addTask { await self.keepInSync() }
            if let orphans = orphans.value, let announcer = announcer.value {
                group.addTask { await orphans.run { announcer.say($0) } }
            }
            if let replay = replay.value, let open = open.value, let executions = executions.value {
                group.addTask { await replay.run() }
                let tracker = Tracker(
                    client: client, host: host, open: open, executions: executions, replay: replay,
                    grace: settings.gracePeriod)
                self.tracker.withLock { $0 = tracker }
                client.onRecovery { tracker.wake() }
                tracker.wake()
                group.addTask { await tracker.run() }
                let watch = inquiryWatch(executions, open)
                inquiries.withLock { $0 = watch }
                group.addTask { await watch.run() }
            }
            group.addTask {
                await self.stream.run { time in
                    // What happened while nobody listened was missed.
                    self.wanted.continuation.yield()
                    self.replay.value?.note(.connected(time))
                    self.tracker.value?.wake()
                } handle: { event in
                    await self.take(event)
                }
            }
        }
    }

    /// Fetches the aliases now.
    func reload() async throws {
        guard let sync = sync.value else { throw Refusal(starting) }
        try await sync.sync()
    }

    private func take(_ event: ServerSentEvent) async {
        if event.name.hasPrefix(Announcer.eventPrefix) {
            announcer.value?.announce(event)
        } else if event.name.hasPrefix("st2.actionalias__") {
            wanted.continuation.yield()
        }
    }

    private func keepInSync() async {
        await withTaskGroup { group in
            group.addTask { [wanted, settings] in
                while !Task.isCancelled {
                    // Only cancellation ends a sleep early, and the loop looks for it.
                    try? await Task.sleep(for: settings.interval)
                    wanted.continuation.yield()
                }
            }
            for await _ in wanted.stream {
                await accounts.value?.dropExpired()
                await trimHistory()
                do {
                    try await sync.value?.sync()
                    await learnActions()
                } catch is CancellationError {
                    break
                } catch {
                    host.logger.warning("The aliases stay as they were: \(error)")
                }
            }
            group.cancelAll()
        }
    }

    private func trimHistory() async {
        do {
            try await executions.value?.trim()
        } catch {
            host.logger.error("What was started long ago could not be forgotten: \(error)")
        }
    }

    /// Asks what the actions take that were not there before. Where StackStorm does not say, all of it is secret.
    private func learnActions() async {
        let known = actions.value
        let wanted = Set((table.value?.aliases ?? []).map(\.actionRef))
        let last = asked.value
        guard wanted.contains(where: { !known.knows($0) }), wanted != last else { return }
        do {
            let schemas = try await client.actions().filter { wanted.contains($0.ref) }
            asked.withLock { $0 = wanted }
            actions.withLock { actions in for schema in schemas { actions.learn(schema) } }
        } catch {
            host.logger.notice(
                """
                StackStorm does not say what its actions take: the audit masks all parameters, and templates in them are \
                refused. (\(error))
                """)
        }
    }

    /// What is said while there is no table.
    var starting: String {
        syncHealth.value.problem?.reply
            ?? "StackStorm's commands are still starting. Please try again in a few seconds."
    }
}

extension StackStormModule {
    package func status() -> [StatusLine] {
        let sync = syncHealth.value
        let count = table.value?.aliases.count ?? 0
        let age = sync.lastSuccess.map { "synced \(($0.duration(to: .now)).inWords) ago" } ?? "never synced"
        let account = sync.account.map { " as \($0)" } ?? ""
        let trouble = client.loginProblem ?? sync.problem
        let problem = trouble.map { "; \($0.diagnosis)" } ?? ""
        let health = stream.currentHealth
        let heard = health.lastByte.map { "last heard \($0.duration(to: .now).inWords) ago" } ?? "never heard"
        let reconnects = max(health.connections - 1, 0)
        let streamTrouble = health.problem.map { "; \($0)" } ?? ""
        return [
            StatusLine(
                "\(name) api", isHealthy: trouble == nil && sync.lastSuccess != nil,
                "\(count) aliases\(account), \(age)\(problem)"),
            StatusLine(
                "\(name) stream", isHealthy: health.isConnected, "\(heard), \(reconnects) reconnects\(streamTrouble)"),
            resultsStatus,
        ]
    }
}

extension StackStormModule {
    private var resultsStatus: StatusLine {
        let history = replay.value?.health.value ?? Replay.Health()
        let trouble =
            history.problem.map {
                "; StackStorm's history, which fills gaps in the stream, cannot be read: \($0)"
            } ?? ""
        return StatusLine(
            "\(name) results",
            isHealthy: history.problem == nil && (history.wasAsked || stream.currentHealth.isConnected),
            "\(open.value?.count ?? 0) awaited, \(history.replayed) read from the history\(trouble)")
    }

    package func gauges() -> [(name: String, labels: [(String, String)], value: Double)] {
        let labels = [("instance", name)]
        let health = stream.currentHealth
        let age = health.lastByte.map { $0.duration(to: .now) / .seconds(1) } ?? -1
        return [
            ("petrel_stream_age_seconds", labels, age),
            ("petrel_stream_reconnects", labels, Double(max(health.connections - 1, 0))),
            ("petrel_results_open", labels, Double(open.value?.count ?? 0)),
            ("petrel_results_replayed", labels, Double(replay.value?.health.value.replayed ?? 0)),
            ("petrel_aliases", labels, Double(table.value?.aliases.count ?? 0)),
        ]
    }
}
