import NIOCore
import NIOSSL
package import PetrelKit
import PetrelSupport

/// The settings of the IRC backend: the server, the bot's name and account, and the channels.
package struct IRCSettings: Sendable {
    /// The proof of the bot's account (SASL).
    enum Login: Sendable {
        /// The account and its password, sent as plain text within TLS.
        case plain(account: String, password: Secret)
        /// The client certificate. Without an account, the server chooses the one that the certificate belongs to.
        case external(account: String?)

        /// The name of the SASL mechanism.
        var mechanism: String {
            switch self {
            case .plain: "PLAIN"
            case .external: "EXTERNAL"
            }
        }
    }

    /// The identification to a service that has no SASL.
    struct NickServ: Sendable {
        /// The nick of the service, or `nick@server`, which no other client can use.
        var nick = "NickServ"
        var password: Secret
    }

    /// A channel to join.
    struct Channel: Sendable {
        var name: String
        var key: Secret?
    }

    private enum Mechanism: String, CaseIterable { case plain, external }

    var server: String
    var port = 6_697
    var isEncrypted = true
    /// The path of a PEM file with the authorities to trust instead of the system's.
    var authority: String?
    /// The paths of the PEM files with the client certificate and its key.
    var certificate: String?
    var key: String?
    var nick: String
    var username: String
    var realname: String
    /// The password of the server, which is not the password of an account.
    var password: Secret?
    var login: Login?
    var nickServ: NickServ?
    var channels: [Channel] = []
    var floodLines = 5
    var floodPeriod = Duration.seconds(8)
    /// The time without data from the server after which the bot sends a ping. Two pings without an answer end the
    /// connection.
    var silence = Duration.seconds(60)
    /// The time limit for the login, including the channels' names.
    var registering = Duration.seconds(60)
    /// The time limit for the answer of NickServ.
    var identifying = Duration.seconds(15)
    /// The time limit for the server's confirmation of a message.
    var patience = Duration.seconds(60)
    /// The first pause before the bot joins a channel again.
    var rejoining = Duration.seconds(5)
    /// The interval at which the bot tries to get its configured nick.
    var regaining = Duration.seconds(60)

    init(server: String, nick: String) {
        self.server = server
        self.nick = nick
        username = nick
        realname = nick
    }

    /// Reads the settings from a configuration section and reports problems to it.
    package init(_ section: SettingsSection) {
        self.init(server: section.requiredString("server"), nick: section.string("nick", default: "petrel"))
        isEncrypted = section.bool("tls", default: true)
        port = section.integer("port", default: isEncrypted ? 6_697 : 6_667, in: 1...65_535)
        authority = section.file("ca_cert")
        certificate = section.file("client_cert")
        key = section.file("client_key")
        username = section.string("username", default: nick)
        realname = section.string("realname", default: nick)
        password = section.secret("password")
        login = Self.login(section)
        nickServ = Self.nickServ(section)
        channels = Self.channels(section)
        let flood = section.section("flood")
        floodLines = flood.integer("lines", default: 5, in: 1...10_000)
        floodPeriod = .seconds(flood.integer("seconds", default: 8, in: 1...3_600))
        flood.finish()
        check(section)
        section.finish()
    }

    private static func login(_ section: SettingsSection) -> Login? {
        guard let sasl = section.optionalSection("sasl") else { return nil }
        defer { sasl.finish() }
        switch sasl.choice("mechanism", default: Mechanism.plain) {
        case .plain:
            return .plain(
                account: sasl.requiredString("account"), password: Secret(sasl.requiredString("password")))
        case .external:
            if !section.contains("client_cert") {
                section.problem("sasl.mechanism", "\"external\" requires client_cert and client_key")
            }
            return .external(account: sasl.optionalString("account"))
        }
    }

    private static func nickServ(_ section: SettingsSection) -> NickServ? {
        guard let service = section.optionalSection("nickserv") else { return nil }
        defer { service.finish() }
        let nick = service.string("nick", default: "NickServ")
        if !isWord(nick) { service.problem("nick", "is not a nick, such as NickServ or NickServ@services.example.com") }
        return NickServ(nick: nick, password: Secret(service.requiredString("password")))
    }

    private static func channels(_ section: SettingsSection) -> [Channel] {
        guard let value = section.value("channels") else { return [] }
        guard let list = value.array else {
            section.problem("channels", "must be a list of channels, not \(value.typeName)")
            return []
        }
        return list.indices.compactMap { index in
            let place = "channels[\(index)]"
            if let name = list[index].string { return channel(name, nil, place, section) }
            guard let item = section.item("channels", index) else {
                section.problem(place, "must be a channel, or an object with name and key")
                return nil
            }
            defer { item.finish() }
            return channel(item.requiredString("name"), item.secret("key"), place, section)
        }
    }

    private static func channel(
        _ name: String, _ key: Secret?, _ place: String, _ section: SettingsSection
    ) -> Channel? {
        guard isChannel(name) else {
            section.problem(place, "\"\(name)\" is not a channel, such as #ops")
            return nil
        }
        if let key, !isWord(key.reveal()) || key.reveal().utf8.contains(0x2C) {
            section.problem("\(place).key", "must not contain spaces, commas or control characters")
        }
        return Channel(name: name, key: key)
    }

    private func check(_ section: SettingsSection) {
        if section.contains("server"), !Self.isWord(server) { section.problem("server", "must be a host name") }
        if !Self.isNick(nick) { section.problem("nick", "is not a nick, such as petrel") }
        if section.contains("username"), !Self.isWord(username) || username.utf8.contains(0x40) {
            section.problem("username", "must not contain spaces or @")
        }
        if realname.isEmpty || realname.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
            section.problem("realname", "must be one line")
        }
        if (certificate == nil) != (key == nil) {
            section.problem("client_cert", "requires client_key, and client_key requires client_cert")
        }
        for (name, secret) in [("password", password), ("nickserv.password", nickServ?.password)] {
            guard let text = secret?.reveal() else { continue }
            if text.isEmpty || text.utf8.contains(where: { $0 < 0x20 }) {
                section.problem(name, "must be one line that is not empty")
            }
        }
        checkSecurity(section)
    }

    private func checkSecurity(_ section: SettingsSection) {
        if login != nil, nickServ != nil {
            section.problem("nickserv", "cannot be used together with sasl, which logs in before the bot is visible")
        }
        guard !isEncrypted else { return }
        if certificate != nil { section.problem("client_cert", "requires tls") }
        if case .plain? = login { section.problem("sasl", "requires tls, so that the password stays secret") }
        if !["localhost", "127.0.0.1", "::1"].contains(server) {
            section.warn("tls", "is off: others can read and change what the bot reads and writes")
        }
    }

    /// Returns true if a text can be a parameter that is followed by others.
    private static func isWord(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.first != 0x3A
            && text.unicodeScalars.allSatisfy { !$0.isSeparator && !$0.isTreacherous }
    }

    private static func isNick(_ text: String) -> Bool {
        guard isWord(text), let first = text.unicodeScalars.first, !("0"..."9").contains(first), first != "-" else {
            return false
        }
        return !text.unicodeScalars.contains { "#&+~%!@,.*?:$".unicodeScalars.contains($0) }
    }

    static func isChannel(_ text: String) -> Bool {
        guard let first = text.unicodeScalars.first, "#&+!".unicodeScalars.contains(first), isWord(text) else {
            return false
        }
        return text.utf8.count > 1 && !text.utf8.contains(0x2C)
    }

    /// Returns the TLS configuration for the server: TLS 1.2 or later. Throws if a file cannot be read.
    func tls() throws -> TLSConfiguration {
        var configuration = TLSConfiguration.client(trusting: authority)
        if let certificate, let key {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))
        }
        return configuration
    }
}
