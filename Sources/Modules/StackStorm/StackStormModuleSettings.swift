package import Foundation
package import PetrelKit
import PetrelSupport
package import StackStormClient

/// One `stackstorm` section.
package struct StackStormModuleSettings: Sendable {
    package var client: StackStormSettings
    /// What is typed before an alias; may be empty.
    package var prefix = "st2"
    /// Commands run with the first; all are listened to.
    package var routes = ["errbot"]
    package var interval = Duration.seconds(60)
    /// How far back announcements that were missed are said.
    package var replayWindow = Duration.seconds(86_400)
    /// How long after its end an execution without a result is reported.
    package var gracePeriod = Duration.seconds(60)
    package var access = Access.standalone
    /// Seconds that a login lasts, if StackStorm does not end it before.
    package var sessionTTL = 3_600
    package var secretsStore = SecretsStore.encrypted
    /// The backend of places that several backends could have; nil for none.
    package var defaultBackend: String?
    /// How results and acknowledgements are written.
    package var resultFormat = ResultFormat.text
    /// Whether `<!channel>` and the like in them call people.
    package var allowsMentions = false
    var writer: ResultWriter { ResultWriter(format: resultFormat, allowsMentions: allowsMentions) }
    /// Where templates in what people write are refused.
    package var templates = TemplatePolicy.workflows
    /// Who may write them all the same.
    package var allowTemplates: Set<String> = []

    /// StackStorm evaluates `{{ … }}`, `{% … %}` and `<% … %>` in what a workflow is given.
    package enum TemplatePolicy: String, Sendable, CaseIterable {
        /// Refused where the action is a workflow, or may be one.
        case workflows
        /// Refused in every command.
        case always
        /// Never refused.
        case never
    }

    /// Whose StackStorm account a command runs with.
    package enum Access: Sendable, Equatable {
        /// The bot's.
        case standalone
        /// That of whoever runs it, after a login at this page.
        case clientside(URL)
        /// That of whoever runs it, for whose token the bot's account asks. A login at the page, where there is one,
        /// comes before it.
        case impersonate(Impersonation, page: URL?)
    }

    /// Where people's credentials are kept.
    package enum SecretsStore: String, Sendable, CaseIterable {
        case memory
        /// What err-stackstorm calls its only store, which is one in memory.
        case cleartext
        case encrypted
    }

    package init(client: StackStormSettings) {
        self.client = client
    }

    /// The name of the module, which rules may name.
    package var name: String { prefix.isEmpty ? "stackstorm" : prefix }

    /// Every command that this instance brings.
    package var commandNames: [String] {
        [prefix] + ["help", "session_start", "session_end", "session_list", "session_cancel"].map(commandName)
    }

    /// The command that lists the aliases.
    var helpName: String { commandName("help") }

    /// A command of Petrel's own beside the aliases.
    func commandName(_ name: String) -> String { (prefix.isEmpty ? "st2" : prefix) + name }

    /// Returns a line of this instance, without the prefix of the bot.
    func ownLine(_ rest: String) -> String { prefix.isEmpty ? rest : "\(prefix) \(rest)" }

    /// What people write to log in.
    package var loginCommand: String { commandName("session_start") + " WORD" }

    /// With whose rights commands run, for people.
    package var accountInWords: String {
        let place = client.api.host(percentEncoded: false) ?? client.api.absoluteString
        switch (access, client.login) {
        case (.clientside, _): return "as themselves, once logged in to \(place)"
        case (.impersonate, .password(let name, _)): return "as themselves, by the service “\(name)” of \(place)"
        case (.impersonate, _): return "as themselves at \(place)"
        case (.standalone, .password(let name, _)): return "as “\(name)” of \(place)"
        case (.standalone, .token): return "with the bot's token for \(place)"
        case (.standalone, .apiKey): return "with the bot's API key for \(place)"
        case (.standalone, nil): return "at \(place)"
        }
    }

    /// Where credentials are sent.
    var place: String { "\(client.auth.absoluteString) \(client.api.absoluteString)" }

    /// The page at which people log in; nil where nobody does.
    package var loginPage: URL? {
        switch access {
        case .standalone: nil
        case .clientside(let page): page
        case .impersonate(_, let page): page
        }
    }

    /// Who acts as whom without a login; nil where that is not so.
    package var impersonation: Impersonation? {
        if case .impersonate(let impersonation, _) = access { impersonation } else { nil }
    }

    /// Credentials of people are held.
    package var holdsCredentials: Bool { access != .standalone }

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
                "user_token_ttl", "is more than the 86400 that StackStorm allows unless its configuration says so")
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
            section.warn("templates", "is never: workflows evaluate what people write, and show them the datastore")
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
                "needs api_auth.user alone: StackStorm gives people's tokens to a name and password only")
            return
        }
        for (key, user) in impersonation.users where user.utf8.elementsEqual(name.utf8) {
            section.problem(
                "rbac_auth.impersonate.users.\(key)", "is the bot's own account, which may act as everybody")
        }
        section.warn(
            "rbac_auth.impersonate",
            "“\(name)” must be a service in StackStorm, which may act as every user, administrators included: whoever "
                + "has its password has everybody's rights")
    }

    /// Credentials and results may be read on the way.
    private func warnOfPlainText(_ section: SettingsSection) {
        let what = holdsCredentials ? "the passwords and tokens of people" : "the bot's credential and every result"
        for (key, url) in [("auth_url", client.auth), ("api_url", client.api), ("stream_url", client.stream)]
        where url.scheme?.lowercased() == "http" && !Self.isLoopback(url.host(percentEncoded: false) ?? "") {
            section.warn(key, "is http:// to another machine: \(what) travel there in plain")
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
            section.warn("api_auth", "has more than one way to log in; the order is apikey, token, user")
        }
        if all.isEmpty { section.warn("api_auth", "has no way to log in; StackStorm will refuse every call") }
        return all.first
    }

    private static func tls(_ section: SettingsSection) -> StackStormSettings.TLS {
        var tls = StackStormSettings.TLS()
        tls.verifies = section.bool("verify_cert", default: true)
        if !tls.verifies { section.warn("verify_cert", "is off: anybody on the way can read and change everything") }
        tls.authority = file("ca_cert", in: section)
        tls.certificate = file("client_cert", in: section)
        tls.key = file("client_key", in: section)
        if tls.key != nil, tls.certificate == nil { section.problem("client_key", "needs client_cert as well") }
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
            section.problem("rbac_auth", "names \(modes.keys.joined(separator: " and ")); there can be only one")
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

    /// The address of the login page, with the slash that its own requests start from.
    private static func page(_ section: SettingsSection) -> URL? {
        let text = section.requiredString("url")
        guard !text.isEmpty else { return nil }
        guard var page = URL(string: text), let scheme = page.scheme?.lowercased(),
            let host = page.host(percentEncoded: false), ["http", "https"].contains(scheme), page.query == nil,
            page.fragment == nil, page.user == nil
        else {
            section.problem("url", "must be an address like https://petrel.example.com/, with nothing after the path")
            return nil
        }
        let isLoopback = isLoopback(host)
        guard scheme == "https" || isLoopback else {
            section.problem("url", "must be https://: passwords travel to this page")
            return nil
        }
        if !page.path.hasSuffix("/"), !page.path.hasSuffix(".html") { page.append(path: "/") }
        return page
    }

    private static func isLoopback(_ host: String) -> Bool {
        ["localhost", "::1", "[::1]"].contains(host) || host.wholeMatch(of: /127(\.\d{1,3}){3}/) != nil
    }
}
