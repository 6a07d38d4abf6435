import Foundation
import NIOSSL
package import PetrelKit
import PetrelSupport

/// How the server is reached, as whom, and which rooms are joined.
package struct XMPPSettings: Sendable {
    package enum Security: String, Sendable, CaseIterable {
        /// TLS from the first byte (XEP-0368).
        case direct
        /// TLS before anything else is said (RFC 6120, section 5).
        case starttls
    }

    package enum Subscriptions: String, Sendable, CaseIterable {
        case refuse, accept
    }

    struct RoomSettings: Sendable {
        var jid: JID
        var password: Secret?
    }

    var jid: JID
    var password: Secret
    /// Nil where the domain says where its servers are.
    var host: String?
    var port: Int?
    var security = Security.starttls
    /// The path of a PEM file with the authorities that are trusted in place of the system's.
    var authority: String?
    /// The password may be sent as it is, within TLS.
    var allowsPlain = false
    /// What people who want to see the bot's presence are told.
    var subscriptions = Subscriptions.refuse
    var nick: String
    var rooms: [RoomSettings] = []
    /// Services of rooms, besides those of the bot's own domain, that tell the truth about everybody's account.
    var trustedServices: Set<String> = []
    /// Replies carry XHTML-IM (XEP-0071) besides their text.
    var usesXHTML = false
    /// A silence of this length is asked about (XEP-0199).
    var silence = Duration.seconds(60)
    /// The answer to that may take so long.
    var patience = Duration.seconds(20)
    /// Where nothing was said for so long, a space keeps the connection open (RFC 6120, section 4.6.1).
    var keepAlive = Duration.seconds(45)
    /// A room that put the bot out is joined again after this time.
    var rejoining = Duration.seconds(10)
    /// A room may take so long to let the bot in.
    var joining = Duration.seconds(20)
    /// So often rooms are asked whether the bot is still in them.
    var verifying = Duration.seconds(300)

    init(jid: JID, password: Secret, nick: String) {
        self.jid = jid
        self.password = password
        self.nick = nick
    }

    package init(_ section: SettingsSection) {
        let text = section.requiredString("jid")
        let jid = JID(text)
        if !text.isEmpty, jid?.local == nil { section.problem("jid", "must be an account, such as petrel@example.com") }
        self.jid = jid ?? JID(domain: "invalid")
        password = Secret(section.requiredString("password"))
        host = section.optionalString("host")
        port = section.contains("port") ? section.integer("port", default: 5_222, in: 1...65_535) : nil
        if port != nil, host == nil { section.problem("port", "needs host: the domain itself says its ports") }
        security = section.choice("tls", default: .starttls)
        authority = section.file("ca_cert")
        allowsPlain = section.bool("allow_plain", default: false)
        subscriptions = section.choice("subscriptions", default: .refuse)
        nick = section.string("nick", default: jid?.local ?? "petrel")
        if !JID.isResource(nick) { section.problem("nick", "cannot be a name in a room") }
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
                    "trusted_services[\(index)]", "\(text) is no service of rooms, such as conference.example.com")
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
                "\(room.jid) is on a service of another domain: the accounts that it shows count only for that domain, "
                    + "unless trusted_services names \(room.jid.domain)")
        }
    }

    /// Whether the service of a room is believed about accounts of every domain.
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
                section.problem(place, "must be a room, or an object with room and password")
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
            section.problem(place, "\(text) is no room, such as ops@conference.example.com")
            return nil
        }
        return RoomSettings(jid: jid, password: password)
    }

    /// Where to connect to, in this order.
    func addresses() async throws -> [ServerAddress] {
        guard let host else { return try await ServiceLookup().addresses(of: jid.domain) }
        let isDirect = security == .direct
        return [ServerAddress(host: host, port: port ?? (isDirect ? 5_223 : 5_222), isDirect: isDirect)]
    }

    var tls: TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        if let authority { configuration.trustRoots = .file(authority) }
        return configuration
    }
}
