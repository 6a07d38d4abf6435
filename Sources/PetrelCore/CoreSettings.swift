package import Foundation
package import Logging
package import PetrelKit
package import PetrelSupport

/// The settings outside of the sections of plug-ins.
package struct CoreSettings: Sendable {
    /// The name of the bot.
    package var name = "petrel"
    /// The prefixes by which messages address the bot.
    package var prefixes = Prefixes()
    /// The limits for the lines of a person.
    package var limits = LineLimits()
    /// The response to unknown commands in rooms.
    package var unknownCommands = Dispatcher.UnknownCommands.answer
    /// The access rules.
    package var access = AccessSettings()
    /// True if denied commands get no reply.
    package var hidesRefusals = false
    /// True if help shows only commands that the person may run.
    package var hidesCommands = true
    /// The rooms in which the operators receive messages.
    package var adminRooms: [String] = []
    /// The minimum level of log lines; nil for the usual one.
    package var logLevel: Logger.Level?
    /// The format of log lines.
    package var logFormat = LineLogHandler.Format.text
    /// The settings of the store.
    package var store = StoreSettings()
    /// True if the absence of access rules is intended, so that there is no warning.
    package var isOpen = false
    /// The settings of the web server; nil for no web server.
    package var web: Web?

    /// The settings in the section `web`.
    package struct Web: Sendable {
        /// The host name or the address to listen on.
        package var host: String
        /// The port to listen on; 0 for any free port.
        package var port: Int
        /// The path of the TLS certificate chain, in PEM.
        package var certificate: String?
        /// The path of the private key, in PEM.
        package var key: String?
        /// The secret of webhook requests.
        package var webhookSecret: Secret?
        /// The folder of the login page; nil for the default folders.
        package var html: String?
        /// The addresses and networks of proxies whose `X-Forwarded-For` is trusted.
        package var trustedProxies: [String]

        /// Creates settings without TLS.
        package init(host: String, port: Int, trustedProxies: [String] = []) {
            self.host = host
            self.port = port
            self.trustedProxies = trustedProxies
        }
    }

    /// Creates the default settings.
    package init() {}

    /// Reads the settings from the root of a configuration.
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
        logLevel = log.optionalString("level").map { _ in log.choice("level", default: .info) }
        logFormat = log.choice("format", default: .text)
        log.finish()
        store = StoreSettings(root)
        isOpen = root.bool("open", default: false)
        web = Web(root)
    }

    /// Returns the policy of the dispatcher.
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
    /// Reads the section. Returns nil if it is absent.
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
    /// The minimum length of a secret. 128 random bits in base64 are longer.
    private static let shortestSecret = 16

    private static func weakness(of secret: Secret) -> String? {
        let length = secret.reveal().utf8.count
        if length == 0 { return "is empty: every request is rejected" }
        guard length < shortestSecret else { return nil }
        return
            "has fewer than \(shortestSecret) characters and can be guessed; generate one with `openssl rand -base64 24`"
    }
}

/// The error for an invalid configuration.
package struct ConfigurationFailure: Error, CustomStringConvertible {
    /// The path of the file.
    package var file: String
    /// The problems.
    package var problems: [SettingsProblem]

    /// Creates an error.
    package init(file: String, problems: [SettingsProblem]) {
        self.file = file
        self.problems = problems
    }

    /// The problems, one on each line.
    package var description: String {
        problems.map { "\(file): \($0)" }.joined(separator: "\n")
    }
}

extension SettingsSection {
    /// Returns the root of a configuration file. Throws if the file does not contain a JSON object.
    package static func root(
        ofFile path: String, environment: [String: String]
    ) throws(ConfigurationFailure) -> (SettingsSection, SettingsContext) {
        // A relative URL resolves `..` otherwise than a path.
        let isAbsolute = path.utf8.first == UInt8(ascii: "/")
        let url = URL(fileURLWithPath: isAbsolute ? path : FileManager.default.currentDirectoryPath + "/" + path)
        func failure(_ message: String) -> ConfigurationFailure {
            ConfigurationFailure(file: path, problems: [SettingsProblem(path: "", message: message)])
        }
        guard let data = try? Data(contentsOf: url) else { throw failure("the file cannot be read") }
        return try root(of: data, file: path, folder: realFolder(of: url), environment: environment)
    }

    /// Returns the folder of a file, without `..` and symbolic links.
    private static func realFolder(of url: URL) -> URL {
        let folder = url.deletingLastPathComponent()
        guard let real = realpath(folder.path, nil) else { return folder }
        defer { free(real) }
        return URL(fileURLWithPath: String(cString: real), isDirectory: true)
    }

    /// Returns the root of the contents of a configuration file.
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

    /// Returns the position of a syntax error, which only Foundation's older parser reports.
    private static func placeOfMistake(in data: Data) -> String {
        do {
            _ = try JSONSerialization.jsonObject(with: data)
            return "the file cannot be parsed"
        } catch {
            let detail = (error as NSError).userInfo["NSDebugDescription"] as? String
            return detail.map { $0 + place(named: $0, in: data) } ?? "\(error)"
        }
    }

    /// Returns the line and the column for an error message with "around character N" or "end of file".
    private static func place(named detail: String, in data: Data) -> String {
        let named = detail.firstMatch(of: /character (\d+)/).flatMap { Int($0.1) }
        guard let number = named ?? (detail.contains("end of file") ? data.count : nil), number <= data.count else {
            return ""
        }
        let before = data.prefix(number)
        let column =
            before.count - (before.lastIndex(of: 10).map { before.distance(from: before.startIndex, to: $0) + 1 } ?? 0)
        return " (line \(before.count { $0 == 10 } + 1), column \(column + 1))"
    }
}
