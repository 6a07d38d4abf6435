import PetrelKit
import PetrelSupport
import XMLStream

/// The state of one room (XEP-0045), derived from its presences. Performs no I/O.
struct XMPPRoom: Sendable {
    /// An occupant of the room.
    struct Occupant: Sendable, Equatable {
        /// The bare real JID, or nil if the room hides it or its service cannot vouch for it.
        var jid: JID?
        /// A number that identifies one visit. It changes when an occupant enters, but not with the nick.
        var visit = 0
    }

    /// The bot's state in the room.
    enum Standing: Sendable, Equatable {
        case outside
        case joining
        case inside
        /// The bot cannot join and does not retry.
        case barred(reason: String)
    }

    /// The action that a presence requires.
    enum Action: Sendable, Equatable {
        case nothing
        /// The bot has joined the room.
        case joined
        /// Unlock the room, which the bot has created (section 10.1.2).
        case unlock
        /// Join at once with the current nick.
        case join
        /// Join after a pause: the bot was kicked, or the room was shut down.
        case joinLater(reason: String)
        /// Request the configured nick, which is available again.
        case reclaim
        /// Report an error to the operator.
        case tell(String)
    }

    let jid: JID
    let password: Secret?
    /// True if the room's service may vouch for accounts of every domain.
    private let isTrusted: Bool
    private let wantedNick: String
    private(set) var nick: String
    private(set) var standing = Standing.outside
    /// The occupants by the bytes of their nicks: `String` would treat canonically equivalent nicks as equal.
    private var occupants: [[UInt8]: Occupant] = [:]
    /// The last visit. Starts at random, because the outbox may hold replies for visits of an earlier process.
    private var visits = Int.random(in: 0..<1 << 52)
    /// True if the room did not respond to the last attempt to join.
    private(set) var isUnresponsive = false
    private var conflicts = 0
    /// True if the room has told that everyone may see and enter it.
    private(set) var isPublic = false
    /// The number of the last request about the features of the room.
    private var inquiry = 0

    /// The maximum number of occupants to track.
    private static let mostOccupants = 10_000
    private static let mostConflicts = 5

    init(_ jid: JID, nick: String, password: Secret?, isTrusted: Bool = false) {
        self.jid = jid.bare
        self.password = password
        self.isTrusted = isTrusted
        wantedNick = nick
        self.nick = nick
    }

    func occupant(_ nick: String) -> Occupant? { occupants[Array(nick.utf8)] }

    /// Returns the current nick of an occupant, or nil if the visit has ended.
    func nick(during visit: Int) -> String? {
        occupants.first { $0.value.visit == visit }.map { String(decoding: $0.key, as: UTF8.self) }
    }

    func isOwn(_ nick: String) -> Bool { Self.isSame(nick, self.nick) }

    /// The names by which the bot is addressed: its nick, and the configured nick if that is in use.
    var names: [String] { isOwn(wantedNick) ? [nick] : [nick, wantedNick] }

    private static func isSame(_ one: String, _ other: String) -> Bool { one.utf8.elementsEqual(other.utf8) }

    /// Returns a presence that requests the configured nick (section 7.6), or nil if the bot has it or it is in use.
    func reclaim() -> XMLElement? {
        guard standing == .inside, conflicts > 0, !isOwn(wantedNick), occupant(wantedNick) == nil else { return nil }
        return XMLElement("presence", "", ["to": jid.with(wantedNick).description])
    }

    /// Returns a presence that joins the room without its history, or nil unless the bot is outside.
    mutating func join() -> XMLElement? {
        guard standing == .outside else { return nil }
        standing = .joining
        occupants = [:]
        var muc = XMLElement("x", XMPPNames.muc, [:], [XMLElement("history", "", ["maxstanzas": "0"])])
        if let password { muc.append(XMLElement("password", text: password.reveal())) }
        return XMLElement("presence", "", ["to": jid.with(nick).description], [muc])
    }

    /// Resets the state when the connection is lost.
    mutating func leave() {
        if case .barred = standing { return }
        standing = .outside
        nick = wantedNick
        conflicts = 0
        occupants = [:]
    }

    /// Records that the bot is not in the room. Returns true if it was believed to be.
    mutating func markOutside() -> Bool {
        guard standing == .inside else { return false }
        standing = .outside
        return true
    }

    /// Records that the room did not respond to a join. Returns false if the join is no longer pending.
    mutating func markUnanswered() -> Bool {
        guard standing == .joining else { return false }
        standing = .outside
        isUnresponsive = true
        return true
    }

    /// Starts a request about the features of the room, and returns its number. Until the answer, the room counts as
    /// private.
    mutating func inquire() -> Int {
        isPublic = false
        inquiry += 1
        return inquiry
    }

    /// Processes the features of the room (section 6.4), unless another request was started after this one.
    mutating func learn(_ info: XMLElement, _ inquiry: Int) {
        guard inquiry == self.inquiry else { return }
        let features = Set(
            (info.child("query", XMPPNames.info)?.children ?? []).filter { $0.name == "feature" }.compactMap {
                $0["var"]
            })
        isPublic = features.contains(XMPPNames.muc) && features.isDisjoint(with: Self.privateFeatures)
    }

    private static let privateFeatures = ["muc_hidden", "muc_membersonly", "muc_passwordprotected"]

    /// Returns true if a message of the room tells that its configuration has changed (section 10.2.1).
    static func isChange(_ message: XMLElement) -> Bool { statuses(message).contains("104") }

    /// Processes a presence from the room.
    /// - Parameter occupant: the sender's nick, or nil for the room itself.
    mutating func take(_ presence: XMLElement, from occupant: String?) -> Action {
        switch presence["type"] {
        case "error": return refused(presence, occupant)
        case "unavailable": return left(presence, occupant)
        case nil: return entered(presence, occupant)
        default: return .nothing
        }
    }

    private static func statuses(_ presence: XMLElement) -> Set<String> {
        Set(
            (presence.child("x", XMPPNames.mucUser)?.children ?? []).filter { $0.name == "status" }.compactMap {
                $0["code"]
            })
    }

    private mutating func entered(_ presence: XMLElement, _ occupant: String?) -> Action {
        guard let occupant else { return .nothing }
        let item = presence.child("x", XMPPNames.mucUser)?.child("item")
        addOccupant(occupant, showing: item?["jid"].flatMap { JID($0) }?.bare)
        let statuses = Self.statuses(presence)
        // A service that does not send 110 reflects the bot's nick.
        guard statuses.contains("110") || isOwn(occupant) else { return .nothing }
        // The room may have assigned another nick (210).
        nick = occupant
        if isOwn(wantedNick) { conflicts = 0 }
        let isNew = standing != .inside
        standing = .inside
        isUnresponsive = false
        if statuses.contains("201") { return .unlock }
        return isNew ? .joined : .nothing
    }

    /// Adds or updates an occupant. A known occupant keeps the visit.
    private mutating func addOccupant(_ nick: String, showing account: JID?) {
        let key = Array(nick.utf8)
        guard occupants.count < Self.mostOccupants || occupants[key] != nil else { return }
        if occupants[key] == nil { visits += 1 }
        let visit = occupants[key]?.visit ?? visits
        occupants[key] = Occupant(jid: account.flatMap { vouches(for: $0) ? $0 : nil }, visit: visit)
    }

    /// Returns true if the room's service is an authority for an account. Any service is one for accounts of its own
    /// domain; it could make false claims about others.
    private func vouches(for account: JID) -> Bool { isTrusted || jid.isService(of: account.domain) }

    private mutating func left(_ presence: XMLElement, _ occupant: String?) -> Action {
        guard let occupant else { return .nothing }
        let statuses = Self.statuses(presence)
        let user = presence.child("x", XMPPNames.mucUser)
        let newNick = statuses.contains("303") ? user?.child("item")?["nick"] : nil
        let gone = occupants.removeValue(forKey: Array(occupant.utf8))
        // The same visit goes on under another nick.
        if let newNick, let gone { occupants[Array(newNick.utf8)] = gone }
        guard statuses.contains("110") || isOwn(occupant) else {
            return Self.isSame(occupant, wantedNick) ? .reclaim : .nothing
        }
        if let newNick {
            nick = newNick
            return .nothing
        }
        standing = .outside
        let reason = user?.child("item")?.child("reason")?.text ?? ""
        let why = reason.isEmpty ? "" : " (\(reason.excerpt()))"
        if let destroyed = user?.child("destroy") {
            let other = destroyed["jid"].map { "; the alternate room is \($0.excerpt())" } ?? ""
            return bar("was destroyed\(other)")
        }
        if statuses.contains("301") { return bar("has banned the bot\(why)") }
        if statuses.contains("321") || statuses.contains("322") {
            return bar("is members-only, and the bot is not a member")
        }
        return .joinLater(
            reason: statuses.contains("307") ? "the bot was kicked\(why)" : "the bot was removed\(why)")
    }

    private mutating func refused(_ presence: XMLElement, _ occupant: String?) -> Action {
        guard standing == .joining, occupant.map({ isOwn($0) }) ?? true, let error = StanzaError(presence) else {
            return .nothing
        }
        standing = .outside
        switch error.condition {
        case "conflict" where conflicts < Self.mostConflicts:
            conflicts += 1
            nick += "_"
            return .join
        case "not-authorized":
            return bar(password == nil ? "requires a password" : "rejected the password")
        case "forbidden": return bar("has banned the bot")
        case "registration-required": return bar("is members-only, and the bot is not a member")
        case "not-allowed": return bar("does not exist, and the bot may not create it")
        case "item-not-found": return .joinLater(reason: "the owner has not unlocked the room yet")
        case "jid-malformed", "not-acceptable": return bar("rejected the nick \(nick)")
        default: return .joinLater(reason: "\(error)")
        }
    }

    private mutating func bar(_ reason: String) -> Action {
        standing = .barred(reason: reason)
        return .tell("The room \(jid) \(reason). The bot is not in the room and tries again after a restart.")
    }
}
