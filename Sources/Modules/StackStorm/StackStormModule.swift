package import Foundation
import Logging
package import PetrelKit
package import PetrelSupport
import StackStormClient

/// The bridge to one StackStorm: aliases from chat, results back to chat.
package final class StackStormModule: BotModule, WebRoutes {
    package let name: String
    package let routes: [WebRoute]
    let client: StackStormClient
    let catalog: AliasCatalog
    let results: Results
    private let settings: StackStormModuleSettings
    private let host: ModuleHost
    private let callers: Callers
    private let logins: Logins
    private let aliases: AliasCommands
    private let stream: EventStream

    /// - Parameters:
    ///   - loop: the event loop on which StackStorm's answers and events are read.
    ///   - logins: where people log in; needed if the settings say that they do.
    ///   - routes: what the web server serves for this module.
    ///   - now: the time by which logins end.
    package init(
        _ settings: StackStormModuleSettings, host: ModuleHost, on loop: EventLoopExecutor = EventLoopExecutor(),
        logins desk: (any LoginDesk)? = nil, routes: [WebRoute] = [], now: @escaping @Sendable () -> Date = { .now }
    ) throws {
        self.settings = settings
        self.host = host
        self.routes = routes
        name = settings.name
        let meters = CallMeters(host.metrics)
        let client = try StackStormClient(settings.client, on: loop, logger: host.logger) { meters.note($0, $1) }
        self.client = client
        let stream = EventStream(
            client, events: settings.routes.map { "\(Announcer.eventPrefix)\($0)" } + ["st2.actionalias__*"])
        self.stream = stream
        catalog = AliasCatalog(client, settings, host)
        results = Results(client, settings, host) { stream.currentHealth.isConnected }
        callers = Callers(client, settings, host, now: now)
        logins = Logins(desk, callers, client, settings, host, now: now)
        aliases = AliasCommands(client, catalog, callers, results, settings, host)
    }

    package var commands: [Command] { aliases.commands + logins.commands }

    package var preparesItself: Bool { true }

    package func run() async throws {
        await results.restore()
        await catalog.restore()
        await callers.restore()
        // Before anybody asks for them.
        await catalog.refresh()
        let changes = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        await withTaskGroup { group in
            // A command that runs before the stream is there would have its result announced to nobody.
            group.addTask {
                await self.stream.attempted.wait()
                self.host.commands.ready()
            }
            group.addTask { await self.keepInSync(changes.stream) }
            group.addTask { await self.remind(changes.continuation) }
            group.addTask { await self.results.run() }
            group.addTask { await self.aliases.inquiries.watch.run() }
            group.addTask { await self.listen(changes.continuation) }
        }
    }

    /// Reads the event stream until cancelled.
    private func listen(_ changes: AsyncStream<Void>.Continuation) async {
        await stream.run { time in
            // What happened while nobody listened was missed.
            changes.yield()
            self.results.connected(at: time)
        } handle: { event in
            if event.name.hasPrefix(Announcer.eventPrefix) {
                self.results.announcer.announce(event)
            } else if event.name.hasPrefix("st2.actionalias__") {
                changes.yield()
            }
        }
    }

    private func keepInSync(_ changes: AsyncStream<Void>) async {
        for await _ in changes {
            await callers.accounts.dropExpired()
            await results.trim()
            await catalog.refresh()
        }
    }

    /// Asks for a sync at every interval.
    private func remind(_ changes: AsyncStream<Void>.Continuation) async {
        while !Task.isCancelled {
            // Only cancellation ends a sleep early, and the loop looks for it.
            try? await Task.sleep(for: settings.interval)
            changes.yield()
        }
    }
}

extension StackStormModule: StatusReporting {
    package func status() -> [StatusLine] {
        let health = stream.currentHealth
        return [aliasStatus, streamStatus(health), results.status(isListening: health.isConnected)]
    }

    private var aliasStatus: StatusLine {
        let sync = catalog.health.value
        let count = catalog.table.value?.aliases.count ?? 0
        let age = sync.lastSuccess.map { "synced \(($0.duration(to: .now)).inWords) ago" } ?? "never synced"
        let account = sync.account.map { " as \($0)" } ?? ""
        let trouble = client.loginProblem ?? sync.problem
        let problem = trouble.map { "; \($0.diagnosis)" } ?? ""
        return StatusLine(
            "\(name) api", isHealthy: trouble == nil && sync.lastSuccess != nil,
            "\(count) aliases\(account), \(age)\(problem)")
    }

    private func streamStatus(_ health: EventStream.Health) -> StatusLine {
        let heard = health.lastByte.map { "last heard \($0.duration(to: .now).inWords) ago" } ?? "never heard"
        let problem = health.problem.map { "; \($0)" } ?? ""
        return StatusLine(
            "\(name) stream", isHealthy: health.isConnected,
            "\(heard), \(max(health.connections - 1, 0)) reconnects\(problem)")
    }
}

extension StackStormModule: GaugeReporting {
    package func gauges() -> [(name: String, labels: [(String, String)], value: Double)] {
        let labels = [("instance", name)]
        let health = stream.currentHealth
        let age = health.lastByte.map { $0.duration(to: .now) / .seconds(1) } ?? -1
        return [
            ("petrel_stream_age_seconds", labels, age),
            ("petrel_stream_reconnects", labels, Double(max(health.connections - 1, 0))),
            ("petrel_results_open", labels, Double(results.open.count)),
            ("petrel_results_replayed", labels, Double(results.replay.health.value.replayed)),
            ("petrel_aliases", labels, Double(catalog.table.value?.aliases.count ?? 0)),
        ]
    }
}
