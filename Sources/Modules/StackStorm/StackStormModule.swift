import CoreMetrics
package import Foundation
import Logging
package import PetrelKit
package import PetrelSupport
import StackStormClient

/// The module for one StackStorm: it runs aliases from chat and posts results and announcements in chat.
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
    private let reconnects: Counter

    /// Creates the module.
    ///
    /// - Parameters:
    ///   - settings: The settings of the section.
    ///   - host: The host of the module.
    ///   - loop: The event loop for StackStorm's responses and events.
    ///   - logins: The registry of one-time logins, required if users log in.
    ///   - routes: The routes of the web server that belong to this module.
    ///   - now: A function that returns the current time, for the expiry of logins.
    /// - Throws: An error if the TLS files of the client cannot be read.
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
        reconnects = Counter(
            label: "petrel_stream_reconnects_total", dimensions: [("instance", settings.name)], factory: host.metrics)
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
        // The aliases are loaded before commands are accepted.
        await catalog.refresh()
        let changes = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        await withTaskGroup { group in
            // The result of a command that runs before the stream is connected could be missed.
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
            if self.stream.currentHealth.connections > 1 { self.reconnects.increment() }
            // Changes of aliases were missed while the stream was not connected.
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

    /// Fetches the aliases and removes expired records on every change, until the stream of changes ends.
    private func keepInSync(_ changes: AsyncStream<Void>) async {
        for await _ in changes {
            await callers.accounts.dropExpired()
            await results.trim()
            await catalog.refresh()
        }
    }

    /// Requests a sync at every interval, until cancelled.
    private func remind(_ changes: AsyncStream<Void>.Continuation) async {
        while !Task.isCancelled {
            // Only cancellation ends the sleep early, and the loop checks for it.
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
            "\(AliasTable.count(count))\(account), \(age)\(problem)")
    }

    private func streamStatus(_ health: EventStream.Health) -> StatusLine {
        let heard = health.lastByte.map { "last data \($0.duration(to: .now).inWords) ago" } ?? "no data yet"
        let problem = health.problem.map { "; \($0)" } ?? ""
        let reconnects = max(health.connections - 1, 0)
        return StatusLine(
            "\(name) stream", isHealthy: health.isConnected,
            "\(heard), \(reconnects) reconnect\(reconnects == 1 ? "" : "s")\(problem)")
    }
}

extension StackStormModule: GaugeReporting {
    package func gauges() -> [(name: String, labels: [(String, String)], value: Double)] {
        let labels = [("instance", name)]
        let health = stream.currentHealth
        let age = health.lastByte.map { $0.duration(to: .now) / .seconds(1) } ?? -1
        return [
            ("petrel_stream_age_seconds", labels, age),
            ("petrel_results_open", labels, Double(results.open.count)),
            ("petrel_aliases", labels, Double(catalog.table.value?.aliases.count ?? 0)),
        ]
    }
}
