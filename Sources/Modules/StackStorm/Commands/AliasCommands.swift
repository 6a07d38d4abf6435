import PetrelKit
import PetrelSupport
import StackStormClient

/// The commands that run aliases and built-in verbs, and that show their help.
struct AliasCommands: Sendable {
    let client: StackStormClient
    let catalog: AliasCatalog
    let callers: Callers
    let results: Results
    let forms: Forms
    let inquiries: Inquiries
    let settings: StackStormModuleSettings
    let host: ModuleHost

    init(
        _ client: StackStormClient, _ catalog: AliasCatalog, _ callers: Callers, _ results: Results,
        _ settings: StackStormModuleSettings, _ host: ModuleHost
    ) {
        self.client = client
        self.catalog = catalog
        self.callers = callers
        self.results = results
        self.settings = settings
        self.host = host
        forms = Forms(catalog: catalog, callers: callers, settings: settings)
        inquiries = Inquiries(client, callers, results, settings, host)
    }

    var commands: [Command] {
        let helpName = settings.helpName
        return [
            Command(
                settings.prefix, usage: "<command>",
                summary: "Run a StackStorm command; \(helpName) lists them. Also: \(VerbCall.usage).",
                parse: { [catalog] in catalog.parse($0, $1) },
                lines: { [catalog, settings] in (catalog.table.value?.displays ?? []).map { settings.ownLine($0) } },
                handler: { try await run($0) }),
            Command(
                helpName, usage: "[--pack PACK] [--filter TEXT] [--limit N] [--offset N]",
                summary: "List StackStorm commands.", handler: { try await help(for: $0) }),
        ]
    }

    /// Returns a line with the prefix of this instance, and without that of the bot.
    func ownLine(_ rest: String) -> String { settings.ownLine(rest) }

    /// Authorizes and runs a line that the user did not type, such as that of a form.
    func run(line: String, _ invocation: Invocation) async throws -> Reply? {
        switch host.rules.verdict(on: ownLine(line), for: invocation) {
        case .denied(let reply): return reply
        case .allowed(let arguments, let parsed):
            var again = invocation
            again.arguments = arguments
            again.parsed = parsed
            again.line = ownLine(arguments)
            again.message.values = nil
            return try await run(again)
        }
    }
}
