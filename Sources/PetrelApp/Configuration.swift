import BuiltinsModule
import Foundation
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport
import PetrelWeb
import StackStormModule

/// One entry of `backends`.
struct ConfiguredBackend: Sendable {
    var name: String
    var kind: BackendKind
    var make: MakeBackend
}

/// A configuration file, read as a whole.
struct Configuration: Sendable {
    var core: CoreSettings
    var backends: [ConfiguredBackend]
    var stackStorms: [StackStormModuleSettings]
    var warnings: [SettingsProblem]
    var environment: [String: String] = [:]
    /// What stays as it was until a restart.
    var fixed = JSONValue.null
    /// Where the login page is.
    var htmlFolder = "html"

    init(
        core: CoreSettings, backends: [ConfiguredBackend],
        stackStorms: [StackStormModuleSettings], warnings: [SettingsProblem]
    ) {
        self.core = core
        self.backends = backends
        self.stackStorms = stackStorms
        self.warnings = warnings
    }

    /// Throws ``ConfigurationFailure`` with every mistake.
    static func read(_ path: String, options: RunOptions = RunOptions()) throws(ConfigurationFailure) -> Configuration {
        let environment = ProcessInfo.processInfo.environment
        var options = options
        options.environment = environment
        let (root, context) = try SettingsSection.root(ofFile: path, environment: environment)
        var configuration = Configuration(root, environment: environment, options: options, context: context)
        configuration.checkFile(path, root)
        configuration.warnings = context.warnings + configuration.review()
        guard context.problems.isEmpty else { throw ConfigurationFailure(file: path, problems: context.problems) }
        return configuration
    }

    private init(
        _ root: SettingsSection, environment: [String: String], options: RunOptions, context: SettingsContext
    ) {
        core = CoreSettings(root)
        backends = Self.backends(root, options)
        stackStorms = root.sections("stackstorm").map { StackStormModuleSettings($0, environment: environment) }
        if stackStorms.isEmpty { root.problem("stackstorm", "is required") }
        Self.checkModules(stackStorms, root)
        Self.checkNames(stackStorms, root)
        if case .value(let text) = core.store.key, StoreKey(text) == nil {
            root.problem("store.key", "must be 32 bytes in base64, as `openssl rand -base64 32` prints them")
        }
        self.environment = environment
        htmlFolder = Self.htmlFolder(core, root)
        root.finish()
        fixed = .object(["backends", "stackstorm", "store", "web"].reduce(into: [:]) { $0[$1] = root.value($1) })
        warnings = []
        checkLogins(root)
        checkWeb(root)
        checkDefaults(root)
        checkPeople(root)
    }

    private func checkDefaults(_ root: SettingsSection) {
        for name in stackStorms.compactMap(\.defaultBackend) where !backends.contains(where: { $0.name == name }) {
            root.problem(
                "stackstorm.default_backend",
                "no backend is called \(name); there is \(backends.map(\.name).joined(separator: ", "))")
        }
    }

    private func checkPeople(_ root: SettingsSection) {
        for key in stackStorms.compactMap(\.impersonation).flatMap({ $0.users.keys.sorted() }) {
            let name = String(String.UnicodeScalarView(key.unicodeScalars.prefix { $0 != "/" }))
            guard !backends.contains(where: { $0.name == name }) else { continue }
            root.problem(
                "stackstorm.rbac_auth.impersonate.users.\(key)", "is nobody: no backend is called \(name)")
        }
    }

    /// The backend of places that several could have, where it is not known which StackStorm asks; nil where they
    /// differ.
    var defaultBackend: String? {
        let all = Set(stackStorms.map(\.defaultBackend))
        return all.count == 1 ? all.first ?? nil : nil
    }

    /// Who else can read or write the file.
    private func checkFile(_ path: String, _ root: SettingsSection) {
        guard let mode = try? FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int else {
            return
        }
        let isOpen = mode & 0o004 != 0
        if isOpen, case .value = core.store.key, root.section("store").value("key")?.string != nil {
            root.problem(
                "store.key", "stands in a file that everybody on this machine can read; run `chmod 600 \(path)`")
        } else if isOpen {
            root.warn("", "everybody on this machine can read this file; run `chmod 640 \(path)`")
        }
        if mode & 0o022 != 0 { root.warn("", "others can write this file, and with it the access rules") }
    }

    /// What the dispatcher goes by.
    var policy: Dispatcher.Policy { core.policy(modules: modules) }

    /// The names of the modules.
    var modules: Set<String> { Set(commands.map(\.module)) }

    /// The sections that differ and are read at the start only.
    func differences(to other: Configuration) -> [String] {
        let mine = fixed.object ?? [:]
        let theirs = other.fixed.object ?? [:]
        var names = Set(mine.keys).union(theirs.keys).filter { mine[$0] != theirs[$0] }
        // Groups are resolved at the start.
        if stackStorms.map(\.allowTemplates) != other.stackStorms.map(\.allowTemplates) { names.insert("stackstorm") }
        if core.adminRooms != other.core.adminRooms { names.insert("bot.admin_rooms") }
        if core.name != other.core.name { names.insert("bot.name") }
        return names.sorted()
    }

    /// Every command that will be there.
    private var commands: [AccessReview.KnownCommand] {
        BuiltinsModule.names.map { AccessReview.KnownCommand(module: "builtins", name: $0) }
            + stackStorms.flatMap { settings in
                settings.commandNames.map { AccessReview.KnownCommand(module: settings.name, name: $0) }
            }
    }

    private func review() -> [SettingsProblem] {
        let review = AccessReview(
            settings: core.access, commands: commands, changeable: backends.filter(\.kind.namesChange).map(\.name),
            backends: backends.map(\.name), prefix: core.prefixes.prefix,
            names: Dictionary(backends.map { ($0.name, $0.kind.names) }) { first, _ in first })
        return review.warnings() + cautions + [openness, emptyPrefix].compactMap(\.self) + strangers
    }

    /// What backends have to say to whoever writes access rules.
    private var cautions: [SettingsProblem] {
        guard !core.access.rules.isEmpty else { return [] }
        return backends.compactMap { backend in
            backend.kind.caution.map { SettingsProblem(path: "backends.\(backend.name)", message: $0) }
        }
    }

    /// People in the maps of `rbac_auth.impersonate` whom no backend would ever name like that.
    private var strangers: [SettingsProblem] {
        stackStorms.compactMap(\.impersonation).flatMap { $0.users.keys.sorted() }.compactMap { key in
            let parts = key.split(separator: "/", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { return nil }
            guard let kind = backends.first(where: { $0.name == parts[0] })?.kind, kind.namesChange,
                parts[1].unicodeScalars.first == "@"
            else { return nil }
            return SettingsProblem(
                path: "stackstorm.rbac_auth.impersonate.users.\(key)",
                message: "is nobody: people of \(parts[0]) are known by their ids here, not by their names"
            )
        }
    }

    private var shared: [String] { backends.filter(\.kind.isShared).map(\.name) }

    private var emptyPrefix: SettingsProblem? {
        guard core.prefixes.prefix.isEmpty, !shared.isEmpty else { return nil }
        return SettingsProblem(
            path: "bot.prefix",
            message:
                "is empty: on \(shared.joined(separator: ", ")) every message that people write to each other is taken as a command"
        )
    }

    /// What everybody may do, in one line; nil where rules say who may, or the file says that it is meant so.
    private var openness: SettingsProblem? {
        guard !shared.isEmpty, !core.isOpen, core.access.rules.isEmpty, core.access.usual.isEmpty else { return nil }
        let accounts = stackStorms.map(\.accountInWords).joined(separator: " and ")
        return SettingsProblem(
            path: "access_controls",
            message: "is empty: everybody who can write to the bot on \(shared.joined(separator: ", ")) may run every "
                + "command of StackStorm \(accounts); write rules, or set \"open\": true where this is meant so")
    }

    /// As configured, else beside the configuration, else where an installation has it.
    private static func htmlFolder(_ core: CoreSettings, _ root: SettingsSection) -> String {
        if let folder = core.web?.html { return folder }
        let program = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent()
        let installed = program?.appendingPathComponent("../share/petrel/html").standardized.path
        let beside = root.path(of: "html")
        return [beside, installed].compactMap(\.self).first {
            FileManager.default.fileExists(atPath: $0 + "/index.html")
        }
            ?? beside
    }

    /// What people write to get a login link, for the page.
    var loginCommand: String {
        let first = stackStorms.first { $0.loginPage != nil } ?? stackStorms.first
        return core.prefixes.prefix + (first?.loginCommand ?? "")
    }

    /// Somebody's StackStorm credential is to be kept in the store.
    var needsKey: Bool { stackStorms.contains { $0.holdsCredentials && $0.secretsStore == .encrypted } }

    var hasLoginPage: Bool { FileManager.default.fileExists(atPath: htmlFolder + "/index.html") }

    /// What logins need besides their own section.
    private func checkLogins(_ root: SettingsSection) {
        if let proxies = core.web?.trustedProxies, TrustedProxies(proxies) == nil {
            root.problem("web.trusted_proxies", "must be addresses or networks, such as 127.0.0.1 or 10.0.0.0/8")
        }
        guard stackStorms.contains(where: { $0.loginPage != nil }) else { return }
        if core.web == nil { root.problem("web", "is required: people log in (rbac_auth.clientside) at its page") }
        guard !hasLoginPage else { return }
        if core.web?.html != nil {
            root.problem("web.html", "there is no login page in \(htmlFolder)")
        } else {
            root.warn("web.html", "there is no login page in \(htmlFolder): your own web server has to have it")
        }
    }

    /// What others on the network could read or forge.
    private func checkWeb(_ root: SettingsSection) {
        guard let web = core.web else { return }
        if web.certificate == nil, !["127.0.0.1", "localhost", "::1"].contains(web.host) {
            let what =
                stackStorms.contains { $0.loginPage != nil } ? "passwords" : "webhook_secret and what is said with it"
            root.warn(
                "web.host", "\(web.host) takes connections from elsewhere, and without web.tls \(what) come in plain")
        }
        for (index, entry) in web.trustedProxies.enumerated() {
            guard let excess = TrustedProxies.excess(of: entry) else { continue }
            root.warn(
                "web.trusted_proxies[\(index)]",
                "\(entry) \(excess): whoever sends X-Forwarded-For chooses the address that is limited and logged"
            )
        }
    }

    /// Two modules of one name would take each other's commands, records and logins.
    private static func checkModules(_ stackStorms: [StackStormModuleSettings], _ root: SettingsSection) {
        var taken: Set = ["builtins"]
        for settings in stackStorms where !taken.insert(settings.name.lowercased()).inserted {
            root.problem(
                "stackstorm",
                "plugin_prefix \"\(settings.prefix)\" makes a second module \"\(settings.name)\"; choose another")
        }
    }

    /// Two commands of one name would hide each other.
    private static func checkNames(_ stackStorms: [StackStormModuleSettings], _ root: SettingsSection) {
        var taken = Set(BuiltinsModule.names.map { Command.key($0) })
        for settings in stackStorms {
            for name in settings.commandNames where !taken.insert(Command.key(name)).inserted {
                root.problem("stackstorm", "plugin_prefix \"\(settings.prefix)\" makes a second command \"\(name)\"")
            }
        }
    }

    private static func backends(
        _ root: SettingsSection, _ options: RunOptions
    ) -> [ConfiguredBackend] {
        let sections = root.section("backends")
        if sections.keys.isEmpty { root.problem("backends", "at least one is required, such as {\"text\": {}}") }
        var seenText: Set<String> = []
        return sections.keys.compactMap { name in
            guard let section = sections.optionalSection(name) else { return nil }
            let kind = section.string("kind", default: name)
            guard let entry = Catalog.backends[kind] else {
                let known = Catalog.backends.keys.sorted().joined(separator: ", ")
                sections.problem(name, "no backend is of the kind \"\(kind)\"; there is \(known)")
                return nil
            }
            if kind == "text", !seenText.insert(kind).inserted {
                sections.problem(name, "there is one standard input: only one backend can be text")
            }
            if let key = entry.webKey, section.contains(key), !root.contains("web") {
                root.problem("web", "is required: backends.\(name).\(key) is for requests that come there")
            }
            return ConfiguredBackend(name: name, kind: entry, make: entry.read(name, section, options))
        }
    }
}
