import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// Brings the aliases from StackStorm, keeps the last good table, and keeps it over a restart.
actor AliasSync {
    struct Health: Sendable {
        var lastSuccess: ContinuousClock.Instant?
        var problem: StackStormError?
        var account: String?
    }

    private let client: StackStormClient
    private let records: any RecordCollection
    private let table: Locked<AliasTable?>
    private let health: Locked<Health>
    private let host: ModuleHost
    private var running: Task<Void, any Error>?
    private var known: [Alias]?
    private var isKept = false

    init(
        _ client: StackStormClient, table: Locked<AliasTable?>, health: Locked<Health>, host: ModuleHost
    ) {
        self.client = client
        self.table = table
        self.health = health
        self.host = host
        records = host.storage.records("aliases")
    }

    /// The table of the last run, until StackStorm answers.
    func restore() async {
        do {
            let aliases = try await records.all().decoded(as: Alias.self, "alias", host.logger)
            guard !aliases.isEmpty, known == nil else { return }
            known = aliases
            isKept = true
            table.withLock { $0 = AliasTable(aliases) }
            host.logger.info("\(aliases.count) aliases were kept from the last run.")
        } catch {
            host.logger.error("The aliases of the last run cannot be read: \(error)")
        }
    }

    /// Fetches all aliases. Callers that come meanwhile wait for the same fetch. A failure keeps the last table.
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
            tell(page.malformed)
            let aliases = page.items.sorted { $0.ref < $1.ref }
            if aliases != known { take(aliases) }
            if !isKept { await keep(aliases) }
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
        isKept = false
        let new = AliasTable(aliases, reusing: table.value)
        table.withLock { $0 = new }
        for problem in new.matcher.problems { host.logger.warning("\(problem).") }
        for (name, refs) in new.duplicates {
            host.logger.warning(
                "The alias name “\(name)” is used by \(refs.joined(separator: " and ")): StackStorm runs only one of them."
            )
        }
        host.logger.info("\(aliases.count) aliases came from StackStorm.")
    }

    /// For the next start. A store that fails costs the next start only, and is tried again at the next sync.
    private func keep(_ aliases: [Alias]) async {
        do {
            try await records.replaceAll(with: aliases.map { ($0.ref, try JSONValue.encode($0)) })
            isKept = true
        } catch {
            host.logger.error("The aliases could not be kept for the next start: \(error)")
        }
    }

    /// What was said of aliases that cannot be read: they are listed with every sync.
    private var told: Set<String> = []

    private func tell(_ malformed: [MalformedAlias]) {
        let all = Set(malformed.map(\.description))
        for problem in all.subtracting(told).sorted() { host.logger.warning("An alias was left out: \(problem).") }
        told = all
    }
}
