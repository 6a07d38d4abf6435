import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// The aliases of one StackStorm, and what is known of the actions behind them.
final class AliasCatalog: Sendable {
    /// The table of the last sync; nil until the first one, or until the table of the last run is restored.
    let table = Locked<AliasTable?>(nil)
    let health = Locked(AliasSync.Health())
    let actions = Locked(KnownActions())
    private let client: StackStormClient
    private let settings: StackStormModuleSettings
    private let host: ModuleHost
    private let sync: AliasSync
    /// The actions that StackStorm was last asked about.
    private let asked = Locked<Set<String>>([])

    init(_ client: StackStormClient, _ settings: StackStormModuleSettings, _ host: ModuleHost) {
        self.client = client
        self.settings = settings
        self.host = host
        sync = AliasSync(client, table: table, health: health, host: host)
    }

    /// Restores the table of the last run, until StackStorm answers.
    func restore() async { await sync.restore() }

    /// Fetches the aliases now. A failure keeps the last table.
    func reload() async throws { try await sync.sync() }

    /// Fetches the aliases, and asks about actions that are new. A failure is logged.
    func refresh() async {
        do {
            try await sync.sync()
            await learnActions()
        } catch is CancellationError {
            return
        } catch {
            host.logger.warning("Cannot fetch the aliases; the last ones stay in use: \(error)")
        }
    }

    /// Asks for the parameters of the actions that were not there before. Where StackStorm does not answer, all of them
    /// count as secret.
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
                Cannot list the actions of StackStorm: the audit masks all parameters, and templates in them are \
                refused. (\(error))
                """)
        }
    }

    /// The answer to a command while there is no table.
    var starting: String {
        health.value.problem?.reply
            ?? "StackStorm's commands are still starting. Please try again in a few seconds."
    }

    /// Parses a line without the prefix of this instance; the value is a ``StackStormCall``, or nil while there is no
    /// table.
    func parse(_ line: String, _ values: [String: String]?) -> ParsedLine {
        guard let table = table.value else {
            return ParsedLine(StackStormCall?.none, masked: line.isEmpty ? "" : "…")
        }
        let call = StackStormCall(line, values, in: table)
        return ParsedLine(Optional(call), masked: call.masked(line, actions.value)) { call.readings(of: line) }
    }

    /// Returns whether help shows an alias to a person.
    func isShown(_ display: String, to invocation: Invocation) -> Bool {
        host.help.shows(settings.ownLine(display), to: invocation)
    }
}
