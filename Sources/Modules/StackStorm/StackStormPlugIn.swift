package import PetrelKit
import PetrelSupport
import StackStormClient

/// The plug-in for the section `stackstorm`, which is one StackStorm or a list of them.
package struct StackStormPlugIn: ModulePlugIn {
    package static let section: String? = "stackstorm"

    let settings: [StackStormModuleSettings]
    /// The one-time logins, which all instances share because there is one login page.
    private let logins: OneTimeLogins

    package init(_ sections: [SettingsSection]) {
        self.init(sections.map { StackStormModuleSettings($0) })
    }

    /// Creates the plug-in with one module for each of the settings.
    package init(_ settings: [StackStormModuleSettings], logins: OneTimeLogins = OneTimeLogins()) {
        self.settings = settings
        self.logins = logins
    }

    package var outlines: [ModuleOutline] {
        settings.map { settings in
            ModuleOutline(
                settings.name, naming: "plugin_prefix \"\(settings.prefix)\"", commands: settings.commandNames,
                exposure: "every command of StackStorm \(settings.accountInWords)",
                defaultBackend: settings.defaultBackend)
        }
    }

    package func makeModules(_ context: ModuleContext) throws -> [any BotModule] {
        try settings.enumerated().map { index, settings in
            let host = context.host(for: settings.name)
            // All instances share the paths of the web server, which belong to the first module.
            let routes = try index == 0 ? context.web.map { try self.routes($0, host) } ?? [] : []
            return try StackStormModule(settings, host: host, on: context.loop, logins: logins, routes: routes)
        }
    }

    private func routes(_ web: WebFacts, _ host: ModuleHost) throws -> [WebRoute] {
        let webhook = ChatopsWebhook(
            host: host, secret: web.webhookSecret, format: settings[0].resultFormat,
            allowsMentions: settings[0].allowsMentions, defaultBackend: settings[0].defaultBackend)
        let pages = settings.compactMap(\.loginPage)
        guard !pages.isEmpty else { return webhook.routes }
        let login = LoginRoutes(
            logins, pages: pages, command: host.bot.prefix + loginCommand, logger: host.logger)
        let page = LoginPage.exists(in: web.pages) ? try LoginPage(folder: web.pages).routes : []
        return webhook.routes + login.routes + page
    }

    /// The command to request a login link, for display.
    private var loginCommand: String {
        (settings.first { $0.loginPage != nil } ?? settings.first)?.loginCommand ?? ""
    }
}

extension StackStormPlugIn: SecretStoring {
    package var storesSecrets: Bool { settings.contains { $0.holdsCredentials && $0.secretsStore == .encrypted } }
}

extension StackStormPlugIn: ConfigurationReviewing {
    package func review(_ facts: ConfigurationFacts, _ root: SettingsSection) {
        for settings in settings {
            reviewDefaultBackend(of: settings, facts, root)
            reviewPeople(of: settings, facts, root)
        }
        if settings.contains(where: { $0.loginPage != nil }) { reviewPage(facts, root) }
    }

    private func reviewDefaultBackend(
        of settings: StackStormModuleSettings, _ facts: ConfigurationFacts, _ root: SettingsSection
    ) {
        let names = facts.backends.map(\.name)
        guard let name = settings.defaultBackend, !names.contains(name) else { return }
        root.problem(
            "stackstorm.default_backend",
            "no backend is named \(name); the backends are \(names.joined(separator: ", "))")
    }

    /// Reports keys of `rbac_auth.impersonate.users` that no chat account can have.
    private func reviewPeople(
        of settings: StackStormModuleSettings, _ facts: ConfigurationFacts, _ root: SettingsSection
    ) {
        for key in settings.impersonation?.users.keys.sorted() ?? [] {
            let parts = key.split(separator: "/", maxSplits: 1).map(String.init)
            let place = "stackstorm.rbac_auth.impersonate.users.\(key)"
            guard let name = parts.first, let backend = facts.backends.first(where: { $0.name == name }) else {
                root.problem(place, "matches no user: no backend is named \(parts.first ?? "")")
                continue
            }
            guard parts.count == 2, backend.facts.namesChange, parts[1].unicodeScalars.first == "@" else { continue }
            root.warn(place, "matches no user: users of \(name) are identified by ID, not by name")
        }
    }

    /// Checks the settings of the web server that logins require.
    private func reviewPage(_ facts: ConfigurationFacts, _ root: SettingsSection) {
        guard let web = facts.web else {
            return root.problem("web", "is required: users log in (rbac_auth.clientside) on its page")
        }
        guard !LoginPage.exists(in: web.pages) else { return }
        if web.namesPages {
            root.problem("web.html", "there is no login page in \(web.pages)")
        } else {
            root.warn("web.html", "there is no login page in \(web.pages): your own web server must serve it")
        }
    }
}

extension StackStormPlugIn: MetricsDescribing {
    package static let metricsHelp = [
        "petrel_announcements_total": "StackStorm announcements by outcome.",
        "petrel_stackstorm_calls_total": "StackStorm API calls by outcome.",
        "petrel_stackstorm_call_seconds": "Duration of StackStorm API calls, in seconds.",
        "petrel_stream_age_seconds":
            "Seconds since the last byte was received on the event stream; -1 if none was received.",
        "petrel_stream_reconnects_total": "Number of event stream reconnections.",
        "petrel_results_open": "Executions started from chat whose results are pending.",
        "petrel_results_replayed_total": "Announcements replayed from execution history.",
        "petrel_aliases": "Action aliases loaded by the last synchronization.",
    ]
}

extension StackStormPlugIn: LineExplaining {
    package func explain(
        _ arguments: String, of command: String, in module: String, storage: (any Storage)?
    ) async throws -> LineExplanation? {
        guard let settings = settings.first(where: { $0.name == module }), command == settings.prefix else {
            return nil
        }
        let (alias, parsed) = try await settings.explain(arguments, storage: storage)
        return LineExplanation(parsed: parsed, rows: alias.rows, fields: alias.fields)
    }
}

extension AliasExplanation {
    fileprivate var rows: [(label: String, text: String)] {
        switch self {
        case .matched(let ref, let format, let parameters):
            [("alias", ref), ("format", format)]
                + parameters.map { ("parameter", "\($0.name) = \($0.value ?? "null")") }
        case .verb(let verb): [("alias", "none: “\(verb)” is a built-in verb")]
        case .failed(let reason): [("alias", "none: \(reason)")]
        }
    }

    fileprivate var fields: [String: JSONValue] {
        switch self {
        case .matched(let ref, let format, let parameters):
            [
                "alias": .string(ref), "format": .string(format),
                "parameters": .object(
                    Dictionary(parameters.map { ($0.name, $0.value.map { .string($0) } ?? .null) }) { _, last in last }),
            ]
        case .verb(let verb): ["alias": .null, "verb": .string(verb)]
        case .failed(let reason): ["alias": .null, "alias_reason": .string(reason)]
        }
    }
}
