package import Foundation
package import Logging
package import PetrelKit
package import PetrelSupport

/// Everything in the configuration but the sections of plug-ins.
package struct CoreSettings: Sendable {
    package var name = "petrel"
    package var prefixes = Prefixes()
    package var limits = LineLimits()
    package var unknownCommands = Dispatcher.UnknownCommands.answer
    package var access = AccessSettings()
    /// A refusal is not answered.
    package var hidesRefusals = false
    /// Help shows only what the asker may run.
    package var hidesCommands = true
    /// Where those who run the bot read what it has to tell them.
    package var adminRooms: [String] = []
    package var logLevel = Logger.Level.info
    package var logFormat = LineLogHandler.Format.text
    package var store = StoreSettings()
    /// Everybody may run everything where no rule says otherwise, and that is meant.
    package var isOpen = false
    package var web: Web?

    package struct Web: Sendable {
        package var host: String
        package var port: Int
        package var certificate: String?
        package var key: String?
        package var webhookSecret: Secret?
        /// The folder of the login page; nil for the usual places.
        package var html: String?
        /// Addresses and networks whose `X-Forwarded-For` is believed.
        package var trustedProxies: [String]

        package init(host: String, port: Int, trustedProxies: [String] = []) {
            self.host = host
            self.port = port
            self.trustedProxies = trustedProxies
        }
    }

    package init() {}

    package init(_ root: SettingsSection) {
        let bot = root.section("bot")
        name = bot.string("name", default: "petrel")
        prefixes = Prefixes(
            prefix: bot.string("prefix", default: "!"), alternates: bot.strings("alternate_prefixes"),
            isOptionalInDirectChats: bot.bool("prefix_optional_in_direct_chats", default: false))
        unknownCommands = bot.choice("unknown_commands", default: .answer)
        limits = LineLimits(bot.section("limits"))
        access = AccessSettings(root, bot: bot, botName: name)
        hidesRefusals = bot.bool("hide_restricted_access", default: false)
        hidesCommands = bot.bool("hide_restricted_commands", default: true)
        adminRooms = bot.strings("admin_rooms")
        bot.finish()
        let log = root.section("log")
        logLevel = log.choice("level", default: .info)
        logFormat = log.choice("format", default: .text)
        log.finish()
        store = StoreSettings(root)
        isOpen = root.bool("open", default: false)
        web = Web(root)
    }

    /// What the dispatcher goes by.
    /// - Parameter modules: the names of the loaded modules.
    package func policy(modules: Set<String>) -> Dispatcher.Policy {
        var policy = Dispatcher.Policy(
            prefixes: prefixes, access: access.control(modules: modules), limits: limits, hidesRefusals: hidesRefusals,
            hidesCommands: hidesCommands)
        policy.unknownCommands = unknownCommands
        return policy
    }
}

extension CoreSettings.Web {
    /// Nil without the section: then nothing listens.
    init?(_ root: SettingsSection) {
        guard let section = root.optionalSection("web") else { return nil }
        host = section.string("host", default: "127.0.0.1")
        port = section.integer("port", default: 3141, in: 0...65_535)
        webhookSecret = section.secret("webhook_secret")
        if let problem = webhookSecret.flatMap({ Self.weakness(of: $0) }) { section.warn("webhook_secret", problem) }
        if let tls = section.optionalSection("tls") {
            certificate = tls.file("certificate")
            key = tls.file("key")
            if certificate == nil || key == nil { section.problem("tls", "needs certificate and key") }
            for (name, path) in [("certificate", certificate), ("key", key)] {
                guard let path, !FileManager.default.isReadableFile(atPath: path) else { continue }
                tls.problem(name, "the file \(path) cannot be read")
            }
            tls.finish()
        }
        html = section.file("html")
        trustedProxies = section.strings("trusted_proxies")
        section.finish()
    }
}

extension CoreSettings.Web {
    /// 128 bits of `openssl rand -base64` have more characters than this.
    private static let shortestSecret = 16

    private static func weakness(of secret: Secret) -> String? {
        let length = secret.reveal().utf8.count
        if length == 0 { return "is empty: every request is rejected" }
        guard length < shortestSecret else { return nil }
        return
            "has fewer than \(shortestSecret) characters and can be guessed; generate one with `openssl rand -base64 24`"
    }
}

/// A configuration that cannot be used, with every mistake in it.
package struct ConfigurationFailure: Error, CustomStringConvertible {
    package var file: String
    package var problems: [SettingsProblem]

    package init(file: String, problems: [SettingsProblem]) {
        self.file = file
        self.problems = problems
    }

    package var description: String {
        problems.map { "\(file): \($0)" }.joined(separator: "\n")
    }
}

extension SettingsSection {
    /// The root of a configuration file. Throws when the file is no JSON object.
    package static func root(
        ofFile path: String, environment: [String: String]
    ) throws(ConfigurationFailure) -> (SettingsSection, SettingsContext) {
        let url = URL(fileURLWithPath: path)
        func failure(_ message: String) -> ConfigurationFailure {
            ConfigurationFailure(file: path, problems: [SettingsProblem(path: "", message: message)])
        }
        guard let data = try? Data(contentsOf: url) else { throw failure("the file cannot be read") }
        return try root(of: data, file: path, folder: url.deletingLastPathComponent(), environment: environment)
    }

    /// The same of what a file holds.
    package static func root(
        of data: Data, file: String, folder: URL, environment: [String: String]
    ) throws(ConfigurationFailure) -> (SettingsSection, SettingsContext) {
        func failure(_ message: String) -> ConfigurationFailure {
            ConfigurationFailure(file: file, problems: [SettingsProblem(path: "", message: message)])
        }
        var data = data
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        if data.starts(with: mark) { data = Data(data.dropFirst(mark.count)) }
        guard String(validating: data, as: UTF8.self) != nil, !data.contains(0) else { throw failure("must be UTF-8") }
        let json: JSONValue
        do {
            json = try JSONValue.parse(data)
        } catch {
            throw failure("invalid JSON: \(Self.placeOfMistake(in: data))")
        }
        guard let object = json.object else { throw failure("must be a JSON object, not \(json.typeName)") }
        if let key = DuplicateKeys(in: data).found.first {
            throw ConfigurationFailure(
                file: file,
                problems: [SettingsProblem(path: key, message: "duplicate key; only one of the values would be used")])
        }
        let context = SettingsContext(folder: folder, environment: environment)
        return (SettingsSection(object, at: "", in: context), context)
    }

    /// Foundation's older reader says where it stumbled.
    private static func placeOfMistake(in data: Data) -> String {
        do {
            _ = try JSONSerialization.jsonObject(with: data)
            return "the file cannot be parsed"
        } catch {
            let detail = (error as NSError).userInfo["NSDebugDescription"] as? String
            return detail.map { $0 + place(named: $0, in: data) } ?? "\(error)"
        }
    }

    /// Line and column for "around character N".
    private static func place(named detail: String, in data: Data) -> String {
        guard let number = detail.firstMatch(of: /character (\d+)/).flatMap({ Int($0.1) }), number <= data.count else {
            return ""
        }
        let before = data.prefix(number)
        let column =
            before.count - (before.lastIndex(of: 10).map { before.distance(from: before.startIndex, to: $0) + 1 } ?? 0)
        return " (line \(before.count { $0 == 10 } + 1), column \(column + 1))"
    }
}
