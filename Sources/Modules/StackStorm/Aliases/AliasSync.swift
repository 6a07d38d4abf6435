import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// Fetches the aliases from StackStorm. The last table remains in use if that fails, and is stored for the next start.
actor AliasSync {
    /// The result of the last sync.
    struct Health: Sendable {
        var lastSuccess: ContinuousClock.Instant?
        /// The error of the last sync, or nil if it succeeded.
        var problem: StackStormError?
        /// The StackStorm user of the bot.
        var account: String?
    }

    private let client: StackStormClient
    private let records: any RecordCollection
    private let table: Locked<AliasTable?>
    private let health: Locked<Health>
    private let host: ModuleHost
    private var running: Task<Void, any Error>?
    private var known: [Alias]?
    private var isStored = false

    init(
        _ client: StackStormClient, table: Locked<AliasTable?>, health: Locked<Health>, host: ModuleHost
    ) {
        self.client = client
        self.table = table
        self.health = health
        self.host = host
        records = host.storage.records("aliases")
    }

    /// Loads the table of the last run, which is used until StackStorm responds.
    func restore() async {
        do {
            let aliases = try await records.all().decoded(as: Alias.self, "alias", host.logger)
            guard !aliases.isEmpty, known == nil else { return }
            known = aliases
            isStored = true
            table.withLock { $0 = AliasTable(aliases) }
            host.logger.info("Loaded \(AliasTable.count(aliases.count)) from the last run.")
        } catch is CancellationError {
            return
        } catch {
            host.logger.error("Cannot read the aliases of the last run: \(error)")
        }
    }

    /// Fetches all aliases. Concurrent callers wait for the same fetch. If it fails, the last table remains in use.
    func sync() async throws {
        if let running { return try await running.sharedValue }
        let task = Task { try await fetch() }
        running = task
        defer { running = nil }
        try await task.sharedValue
    }

    private func fetch() async throws {
        do {
            let account = try await client.account()
            let page = try await client.aliases()
            report(page.malformed)
            let aliases = page.items.sorted { $0.ref < $1.ref }
            if aliases != known { take(aliases) }
            if !isStored { await store(aliases) }
            health.withLock { $0 = Health(lastSuccess: .now, problem: nil, account: account.username) }
        } catch {
            if !(error is CancellationError) {
                let problem = error as? StackStormError ?? StackStormError(.noAnswer, "\(error)")
                health.withLock { $0.problem = problem }
            }
            throw error
        }
    }

    private func take(_ aliases: [Alias]) {
        known = aliases
        isStored = false
        let new = AliasTable(aliases, reusing: table.value)
        table.withLock { $0 = new }
        for problem in new.matcher.problems { host.logger.warning("\(problem).") }
        for (name, refs) in new.duplicates {
            host.logger.warning(
                "The alias name “\(name)” is used by \(refs.joined(separator: " and ")): StackStorm runs only one of them."
            )
        }
        host.logger.info("Loaded \(AliasTable.count(aliases.count)) from StackStorm.")
    }

    /// Stores the aliases for the next start. If that fails, the next sync repeats it.
    private func store(_ aliases: [Alias]) async {
        do {
            try await records.replaceAll(with: aliases.map { ($0.ref, try JSONValue.encode($0)) })
            isStored = true
        } catch is CancellationError {
            return
        } catch {
            host.logger.error("Cannot store the aliases for the next start: \(error)")
        }
    }

    /// The malformed aliases that were logged. StackStorm returns them with every sync.
    private var reported: Set<String> = []

    private func report(_ malformed: [MalformedAlias]) {
        let all = Set(malformed.map(\.description))
        for problem in all.subtracting(reported).sorted() { host.logger.warning("An alias was skipped: \(problem).") }
        reported = all
    }
}
