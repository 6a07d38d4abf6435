import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// The aliases of one StackStorm instance, and the known properties of the actions that they run.
final class AliasCatalog: Sendable {
    /// The table of the last sync. Nil until the first sync, or until the table of the last run is restored.
    let table = Locked<AliasTable?>(nil)
    let health = Locked(AliasSync.Health())
    let actions = Locked(KnownActions())
    private let client: StackStormClient
    private let settings: StackStormModuleSettings
    private let host: ModuleHost
    private let sync: AliasSync
    /// The actions whose parameters were last requested.
    private let requested = Locked<Set<String>>([])

    init(_ client: StackStormClient, _ settings: StackStormModuleSettings, _ host: ModuleHost) {
        self.client = client
        self.settings = settings
        self.host = host
        sync = AliasSync(client, table: table, health: health, host: host)
    }

    /// Loads the table of the last run, which is used until StackStorm responds.
    func restore() async { await sync.restore() }

    /// Fetches the aliases now. If that fails, the last table remains in use.
    func reload() async throws { try await sync.sync() }

    /// Fetches the aliases and the parameters of new actions. An error is logged.
    func refresh() async {
        do {
            try await sync.sync()
            await learnActions()
        } catch is CancellationError {
            return
        } catch {
            host.logger.warning("Cannot fetch the aliases; the last ones remain in use: \(error)")
        }
    }

    /// Fetches the parameters of actions that are not known yet. If StackStorm does not provide them, all parameters
    /// count as secret.
    private func learnActions() async {
        let known = actions.value
        let wanted = Set((table.value?.aliases ?? []).map(\.actionRef))
        let last = requested.value
        guard wanted.contains(where: { !known.knows($0) }), wanted != last else { return }
        do {
            let schemas = try await client.actions().filter { wanted.contains($0.ref) }
            requested.withLock { $0 = wanted }
            actions.withLock { actions in for schema in schemas { actions.learn(schema) } }
        } catch is CancellationError {
            return
        } catch {
            host.logger.notice(
                """
                Cannot list the actions of StackStorm; the audit log masks all parameters, and templates in them are \
                rejected: \(error)
                """)
        }
    }

    /// The reply to a command if there is no table yet.
    var starting: String {
        health.value.problem?.reply
            ?? "StackStorm's commands are still loading. Please try again in a few seconds."
    }

    /// Parses a line without the prefix of this instance. The parsed value is a ``StackStormCall``, or nil if there is
    /// no table yet.
    func parse(_ line: String, _ values: [String: String]?) -> ParsedLine {
        guard let table = table.value else {
            return ParsedLine(StackStormCall?.none, masked: line.isEmpty ? "" : "…")
        }
        let call = StackStormCall(line, values, in: table, actions.value)
        return ParsedLine(Optional(call), masked: call.masked) { call.readings }
    }

    /// Returns true if help shows a format to a user.
    func isShown(_ display: String, to invocation: Invocation) -> Bool {
        host.help.shows(settings.ownLine(display), to: invocation)
    }
}
