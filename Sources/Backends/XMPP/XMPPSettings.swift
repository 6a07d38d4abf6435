import Foundation
import NIOSSL
package import PetrelKit
import PetrelSupport

/// The settings of the XMPP backend: the account, the server and the rooms.
package struct XMPPSettings: Sendable {
    /// The method of establishing TLS.
    package enum Security: String, Sendable, CaseIterable {
        /// Direct TLS (XEP-0368).
        case direct
        /// STARTTLS (RFC 6120, section 5).
        case starttls
    }

    /// The response to presence subscription requests (RFC 6121, section 3.1).
    package enum Subscriptions: String, Sendable, CaseIterable {
        case refuse, accept
    }

    /// A room to join.
    struct RoomSettings: Sendable {
        var jid: JID
        var password: Secret?
    }

    var jid: JID
    var password: Secret
    /// The host to connect to, or nil to use the domain's SRV records.
    var host: String?
    /// The port to connect to, or nil for the standard port.
    var port: Int?
    /// The method of establishing TLS. Used only with `host`; SRV records imply the method.
    var security = Security.starttls
    /// The path of a PEM file with the authorities to trust instead of the system's.
    var authority: String?
    /// True to allow the SASL mechanism PLAIN, which sends the password in plain text over TLS.
    var allowsPlain = false
    /// The response to presence subscription requests.
    var subscriptions = Subscriptions.refuse
    var nick: String
    var rooms: [RoomSettings] = []
    /// The domains of room services, besides the bot's own domain, that may vouch for accounts of every domain.
    var trustedServices: Set<String> = []
    /// True to add XHTML-IM (XEP-0071) to replies.
    var usesXHTML = false
    /// The time without data from the server after which the bot sends a ping (XEP-0199).
    var silence = Duration.seconds(60)
    /// The time limit for the response to a ping or to another request.
    var patience = Duration.seconds(20)
    /// The time without data from the bot after which it sends a space (RFC 6120, section 4.6.1).
    var keepAlive = Duration.seconds(45)
    /// The pause before the bot rejoins a room.
    var rejoining = Duration.seconds(10)
    /// The time limit for joining a room.
    var joining = Duration.seconds(20)
    /// The interval at which the bot verifies that it is still in its rooms.
    var verifying = Duration.seconds(300)

    init(jid: JID, password: Secret, nick: String) {
        self.jid = jid
        self.password = password
        self.nick = nick
    }

    /// Reads the settings from a configuration section and reports problems to it.
    package init(_ section: SettingsSection) {
        let text = section.requiredString("jid")
        let jid = JID(text)
        if !text.isEmpty, jid?.local == nil {
            section.problem("jid", "must be an account JID, such as petrel@example.com")
        }
        self.jid = jid ?? JID(domain: "invalid")
        password = Secret(section.requiredString("password"))
        host = section.optionalString("host")
        port = section.contains("port") ? section.integer("port", default: 5_222, in: 1...65_535) : nil
        if port != nil, host == nil {
            section.problem("port", "requires host: without host, SRV records specify the port")
        }
        security = section.choice("tls", default: .starttls)
        authority = section.file("ca_cert")
        allowsPlain = section.bool("allow_plain", default: false)
        subscriptions = section.choice("subscriptions", default: .refuse)
        nick = section.string("nick", default: jid?.local ?? "petrel")
        if !JID.isResource(nick) { section.problem("nick", "is not a valid room nick") }
        usesXHTML = section.bool("xhtml", default: false)
        rooms = Self.rooms(section)
        trustedServices = Self.services(section)
        warnOfServices(section)
        section.finish()
    }

    private static func services(_ section: SettingsSection) -> Set<String> {
        let services = section.strings("trusted_services").enumerated().compactMap { index, text -> String? in
            guard let jid = JID(text), jid.local == nil, jid.resource == nil else {
                section.problem(
                    "trusted_services[\(index)]", "\(text) is not a room service, such as conference.example.com")
                return nil
            }
            return jid.domain
        }
        return Set(services)
    }

    private func warnOfServices(_ section: SettingsSection) {
        for room in rooms where !trusts(room.jid) {
            section.warn(
                "rooms",
                "\(room.jid) is on a service of another domain: the accounts that it shows are accepted only for that "
                    + "domain, unless trusted_services contains \(room.jid.domain)")
        }
    }

    /// Returns true if the service of a room may vouch for accounts of every domain.
    func trusts(_ room: JID) -> Bool { room.isWithin(jid.domain) || trustedServices.contains(room.domain) }

    private static func rooms(_ section: SettingsSection) -> [RoomSettings] {
        guard let value = section.value("rooms") else { return [] }
        guard let list = value.array else {
            section.problem("rooms", "must be a list of rooms")
            return []
        }
        return list.indices.compactMap { index in
            let place = "rooms[\(index)]"
            if let text = list[index].string { return room(text, nil, place, section) }
            guard let room = section.item("rooms", index) else {
                section.problem(place, "must be a room JID, or an object with room and password")
                return nil
            }
            defer { room.finish() }
            return Self.room(room.requiredString("room"), room.secret("password"), place, section)
        }
    }

    private static func room(
        _ text: String, _ password: Secret?, _ place: String, _ section: SettingsSection
    ) -> RoomSettings? {
        guard let jid = JID(text), jid.local != nil, jid.resource == nil else {
            section.problem(place, "\(text) is not a room JID, such as ops@conference.example.com")
            return nil
        }
        return RoomSettings(jid: jid, password: password)
    }

    /// Returns the server's addresses in the order in which to try them. Throws ``ServiceLookup/Failure`` if the domain
    /// has no XMPP server.
    func addresses() async throws -> [ServerAddress] {
        guard let host else { return try await ServiceLookup().addresses(of: jid.domain) }
        let isDirect = security == .direct
        return [ServerAddress(host: host, port: port ?? (isDirect ? 5_223 : 5_222), isDirect: isDirect)]
    }

    /// The TLS configuration for the server and for uploads: TLS 1.2 or later.
    var tls: TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        if let authority { configuration.trustRoots = .file(authority) }
        return configuration
    }
}
