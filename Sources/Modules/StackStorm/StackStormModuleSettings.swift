package import Foundation
package import PetrelKit
import PetrelSupport
package import StackStormClient

/// The settings of one `stackstorm` section.
package struct StackStormModuleSettings: Sendable {
    /// The URLs, the credential and the TLS settings of the API client.
    package var client: StackStormSettings
    /// The prefix of alias commands (`plugin_prefix`). It may be empty.
    package var prefix = "st2"
    /// The routes of announcements (`route_key`). Commands use the first one; announcements of all are posted.
    package var routes = ["errbot"]
    /// The time between two syncs of the aliases (`timer_update`).
    package var interval = Duration.seconds(60)
    /// The maximum age of missed announcements that are replayed (`replay_window`).
    package var replayWindow = Duration.seconds(86_400)
    /// The time after the end of an execution without an announced result until it is reported (`grace_period`).
    package var gracePeriod = Duration.seconds(60)
    /// The accounts with which commands run (`rbac_auth`).
    package var access = Access.standalone
    /// The maximum duration of a login, in seconds (`session_ttl`).
    package var sessionTTL = 3_600
    /// The store for the credentials of users (`secrets_store`).
    package var secretsStore = SecretsStore.encrypted
    /// The backend for the names of places that several backends can have (`default_backend`).
    package var defaultBackend: String?
    /// The notation of results and acknowledgements (`result_format`).
    package var resultFormat = ResultFormat.text
    /// True if mentions in them, such as `<!channel>`, notify people (`allow_mentions`).
    package var allowsMentions = false
    var writer: ResultWriter { ResultWriter(format: resultFormat, allowsMentions: allowsMentions) }
    /// The commands in which templates are rejected (`templates`).
    package var templates = TemplatePolicy.workflows
    /// The users who may write templates in any case (`allow_templates`).
    package var allowTemplates: Set<String> = []

    /// The treatment of templates in the input of users. StackStorm evaluates `{{ … }}`, `{% … %}` and `<% … %>` in the
    /// parameters of a workflow.
    package enum TemplatePolicy: String, Sendable, CaseIterable {
        /// Templates are rejected if the action is a workflow, or may be one.
        case workflows
        /// Templates are rejected in every command.
        case always
        /// Templates are permitted.
        case never
    }

    /// The StackStorm account with which a command runs.
    package enum Access: Sendable, Equatable {
        /// The account of the bot.
        case standalone
        /// The account of the user, after a login on the page with this URL.
        case clientside(URL)
        /// The account of the user, with a token that StackStorm issues to the bot's account. If there is a login page,
        /// a login has precedence.
        case impersonate(Impersonation, page: URL?)
    }

    /// The store for the credentials of users.
    package enum SecretsStore: String, Sendable, CaseIterable {
        /// Credentials are in memory only.
        case memory
        /// The name of err-stackstorm's only store. It is the same as ``memory``.
        case cleartext
        /// Credentials are encrypted in the database.
        case encrypted
    }

    /// Creates default settings.
    package init(client: StackStormSettings) {
        self.client = client
    }

    /// The name of the module, which access rules can contain.
    package var name: String { prefix.isEmpty ? "stackstorm" : prefix }

    /// The names of all commands of this instance.
    package var commandNames: [String] {
        [prefix] + ["help", "session_start", "session_end", "session_list", "session_cancel"].map(commandName)
    }

    /// The command that lists the aliases.
    var helpName: String { commandName("help") }

    /// Returns the full name of a command that is not an alias, such as `st2help` for `help`.
    func commandName(_ name: String) -> String { (prefix.isEmpty ? "st2" : prefix) + name }

    /// Returns a line with the prefix of this instance, and without that of the bot.
    func ownLine(_ rest: String) -> String { prefix.isEmpty ? rest : "\(prefix) \(rest)" }

    /// The command to request a login, for display.
    package var loginCommand: String { commandName("session_start") + " WORD" }

    /// A phrase about the account with which commands run, for display.
    package var accountInWords: String {
        let place = client.api.host(percentEncoded: false) ?? client.api.absoluteString
        switch (access, client.login) {
        case (.clientside, _): return "as themselves, once logged in to \(place)"
        case (.impersonate, .password(let name, _)): return "as themselves, through the service “\(name)” of \(place)"
        case (.impersonate, _): return "as themselves at \(place)"
        case (.standalone, .password(let name, _)): return "as “\(name)” of \(place)"
        case (.standalone, .token): return "with the bot's token for \(place)"
        case (.standalone, .apiKey): return "with the bot's API key for \(place)"
        case (.standalone, nil): return "at \(place)"
        }
    }

    /// An identifier of the StackStorm to which credentials are sent: its URLs.
    var place: String { "\(client.auth.absoluteString) \(client.api.absoluteString)" }

    /// The URL of the login page; nil if users do not log in.
    package var loginPage: URL? {
        switch access {
        case .standalone: nil
        case .clientside(let page): page
        case .impersonate(_, let page): page
        }
    }

    /// The assignment of StackStorm users to chat accounts; nil without impersonation.
    package var impersonation: Impersonation? {
        if case .impersonate(let impersonation, _) = access { impersonation } else { nil }
    }

    /// True if the module has credentials of users.
    package var holdsCredentials: Bool { access != .standalone }

    /// Reads the settings of a section. Problems and warnings are added to the section.
    package init(_ section: SettingsSection) {
        client = StackStormSettings(
            auth: section.url("auth_url", default: "http://localhost:9100/v1"),
            api: section.url("api_url", default: "http://localhost:9101/v1"),
            stream: section.url("stream_url", default: "http://localhost:9102/v1"),
            login: Self.login(section))
        client.environment = section.environment
        client.tokenLifetime = section.integer("user_token_ttl", default: 86_400, in: 1...31_536_000)
        if client.tokenLifetime > 86_400 {
            section.warn(
                "user_token_ttl", "is more than 86400, the maximum in StackStorm's default configuration")
        }
        client.tls = Self.tls(section)
        prefix = section.string("plugin_prefix", default: "st2")
        if prefix.contains(where: { $0.isWhitespace || $0 == "_" }) {
            section.problem("plugin_prefix", "must be one word without _")
        }
        routes = Self.routes(section)
        interval = .seconds(section.integer("timer_update", default: 60, in: 1...86_400))
        access = Self.access(section)
        checkImpersonation(section)
        sessionTTL = section.integer("session_ttl", default: 3_600, in: 1...31_536_000)
        if loginPage != nil, sessionTTL > client.tokenLifetime {
            section.warn(
                "session_ttl", "is longer than user_token_ttl: a login by password ends after \(client.tokenLifetime) s"
            )
        }
        warnOfPlainText(section)
        secretsStore = section.choice("secrets_store", default: .encrypted)
        defaultBackend = section.optionalString("default_backend")
        resultFormat = section.choice("result_format", default: .text)
        allowsMentions = section.bool("allow_mentions", default: false)
        templates = section.choice("templates", default: .workflows)
        if templates == .never {
            section.warn("templates", "is never: workflows evaluate templates of users, which can read the datastore")
        }
        allowTemplates = Set(section.people("allow_templates"))
        replayWindow = .seconds(section.integer("replay_window", default: 86_400, in: 1...31_536_000))
        gracePeriod = .seconds(section.integer("grace_period", default: 60, in: 1...86_400))
        section.finish()
    }

    private func checkImpersonation(_ section: SettingsSection) {
        guard let impersonation else { return }
        guard case .password(let name, _)? = client.login else {
            section.problem(
                "rbac_auth.impersonate",
                "requires api_auth.user alone: StackStorm issues tokens of users only for a name and password")
            return
        }
        for (key, user) in impersonation.users where user.utf8.elementsEqual(name.utf8) {
            section.problem(
                "rbac_auth.impersonate.users.\(key)", "is the bot's own account, which may act as every user")
        }
        section.warn(
            "rbac_auth.impersonate",
            "“\(name)” must be a service in StackStorm, which may act as every user, including administrators: its "
                + "password gives the permissions of all users")
    }

    /// Warns about connections over which credentials and results are sent in plain text.
    private func warnOfPlainText(_ section: SettingsSection) {
        let what = holdsCredentials ? "passwords and tokens of users" : "the bot's credential and all results"
        for (key, url) in [("auth_url", client.auth), ("api_url", client.api), ("stream_url", client.stream)]
        where url.scheme?.lowercased() == "http" && !Self.isLoopback(url.host(percentEncoded: false) ?? "") {
            section.warn(key, "is http:// to another machine: \(what) are sent in plain text")
        }
    }

    private static func login(_ section: SettingsSection) -> StackStormSettings.Login? {
        let auth = section.section("api_auth")
        let key = auth.secret("apikey")
        let token = auth.secret("token")
        let user = auth.optionalSection("user")
        let named = user.map { user in
            let name = user.requiredString("name")
            let password = user.requiredString("password")
            user.finish()
            return StackStormSettings.Login.password(name: name, password: Secret(password))
        }
        auth.finish()
        let all = [key.map { StackStormSettings.Login.apiKey($0) }, token.map { .token($0) }, named].compactMap { $0 }
        if all.count > 1 {
            section.warn("api_auth", "has more than one credential; the order of precedence is apikey, token, user")
        }
        if all.isEmpty { section.warn("api_auth", "has no credential; StackStorm will reject every call") }
        return all.first
    }

    private static func tls(_ section: SettingsSection) -> StackStormSettings.TLS {
        var tls = StackStormSettings.TLS()
        tls.verifies = section.bool("verify_cert", default: true)
        if !tls.verifies { section.warn("verify_cert", "is off: connections can be intercepted and changed") }
        tls.authority = file("ca_cert", in: section)
        tls.certificate = file("client_cert", in: section)
        tls.key = file("client_key", in: section)
        if tls.key != nil, tls.certificate == nil { section.problem("client_key", "requires client_cert") }
        return tls
    }

    private static func file(_ key: String, in section: SettingsSection) -> String? {
        guard let path = section.file(key) else { return nil }
        if !FileManager.default.isReadableFile(atPath: path) { section.problem(key, "the file \(path) cannot be read") }
        return path
    }

    private static func routes(_ section: SettingsSection) -> [String] {
        let routes: [String]
        if case .array? = section.value("route_key") {
            routes = section.strings("route_key")
        } else {
            routes = [section.string("route_key", default: "errbot")]
        }
        if routes.isEmpty || routes.contains("") { section.problem("route_key", "must name at least one route") }
        return routes
    }

    private static func access(_ section: SettingsSection) -> Access {
        section.refuseNull("rbac_auth")
        guard let modes = section.optionalSection("rbac_auth") else { return .standalone }
        let standalone = modes.optionalSection("standalone")
        let clientside = modes.optionalSection("clientside")
        let impersonate = modes.optionalSection("impersonate")
        modes.finish()
        standalone?.finish()
        if standalone != nil, modes.keys.count > 1 {
            section.problem(
                "rbac_auth", "contains \(modes.keys.joined(separator: " and ")); only one of them is allowed")
        }
        let page = clientside.flatMap(page)
        clientside?.finish()
        if let impersonate { return .impersonate(Impersonation(impersonate), page: page) }
        if clientside == nil, standalone == nil {
            section.problem(
                "rbac_auth",
                "must be {\"standalone\": {}}, {\"clientside\": {\"url\": \"https://…/\"}} or {\"impersonate\": {…}}")
        }
        return page.map { .clientside($0) } ?? .standalone
    }

    /// Returns the URL of the login page. It ends with a slash, because the requests of the page are relative to it.
    private static func page(_ section: SettingsSection) -> URL? {
        let text = section.requiredString("url")
        guard !text.isEmpty else { return nil }
        guard var page = URL(string: text), let scheme = page.scheme?.lowercased(),
            let host = page.host(percentEncoded: false), ["http", "https"].contains(scheme), page.query == nil,
            page.fragment == nil, page.user == nil
        else {
            section.problem(
                "url", "must be a URL such as https://petrel.example.com/, without user, query and fragment")
            return nil
        }
        let isLoopback = isLoopback(host)
        guard scheme == "https" || isLoopback else {
            section.problem("url", "must be https://: users send passwords to this page")
            return nil
        }
        if !page.path.hasSuffix("/"), !page.path.hasSuffix(".html") { page.append(path: "/") }
        return page
    }

    private static func isLoopback(_ host: String) -> Bool {
        ["localhost", "::1", "[::1]"].contains(host) || host.wholeMatch(of: /127(\.\d{1,3}){3}/) != nil
    }
}
