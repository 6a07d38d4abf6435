import Foundation
public import PetrelKit
public import StackStormClient

/// One `stackstorm` section.
public struct StackStormModuleSettings: Sendable {
    public var client: StackStormSettings
    /// What is typed before an alias; may be empty.
    public var prefix = "st2"
    /// Commands run with the first; all are listened to.
    public var routes = ["errbot"]
    public var interval = Duration.seconds(60)

    public init(client: StackStormSettings) {
        self.client = client
    }

    /// The name of the module, which rules may name.
    public var name: String { prefix.isEmpty ? "stackstorm" : prefix }

    /// Every command that this instance brings.
    public var commandNames: [String] { [prefix, helpName] }

    /// The command that lists the aliases.
    var helpName: String { prefix.isEmpty ? "st2help" : "\(prefix)help" }

    public init(_ section: SettingsSection, environment: [String: String]) {
        client = StackStormSettings(
            auth: section.url("auth_url", default: "http://localhost:9100/v1"),
            api: section.url("api_url", default: "http://localhost:9101/v1"),
            stream: section.url("stream_url", default: "http://localhost:9102/v1"),
            login: Self.login(section))
        client.environment = environment
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
        Self.refuseLater(section)
        section.finish()
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

    /// Keys of the design that this version has no code for: better refused than ignored.
    private static func refuseLater(_ section: SettingsSection) {
        for key in ["secrets_store", "session_ttl", "replay_window", "grace_period"] where section.value(key) != nil {
            section.problem(key, "is not part of this version yet")
        }
        if let mode = section.value("rbac_auth"), mode != .object(["standalone": .object([:])]) {
            section.problem("rbac_auth", "this version knows {\"standalone\": {}} only: everything runs as the bot")
        }
    }
}
