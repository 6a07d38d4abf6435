import PetrelKit
import PetrelSupport

/// One room (XEP-0045) as its presences tell of it: pure, so that it can be tried without a server.
struct XMPPRoom: Sendable {
    struct Occupant: Sendable, Equatable {
        /// The bare address, where the room shows it and its service can know it.
        var jid: JID?
        /// Another one whenever somebody comes in; a new nick meanwhile changes nothing.
        var visit = 0
    }

    /// Where it stands.
    enum Standing: Sendable, Equatable {
        case outside
        case joining
        case inside
        /// It is not tried again by itself.
        case barred(reason: String)
    }

    /// What is to be done about a presence.
    enum Action: Sendable, Equatable {
        case nothing
        /// It is in.
        case joined
        /// The room is new, and waits for its owner's word (section 10.1.2).
        case unlock
        /// Join now, under the nick that counts by now.
        case join
        /// Join after a pause: it was thrown out, or the room was shut down.
        case joinLater(reason: String)
        /// Ask for the configured nick, which has become free.
        case reclaim
        /// Tell whoever runs the bot.
        case tell(String)
    }

    let jid: JID
    let password: Secret?
    /// The service of the room tells the truth about accounts of every domain.
    private let isTrusted: Bool
    private let wantedNick: String
    private(set) var nick: String
    private(set) var standing = Standing.outside
    /// By nicks, as bytes: two that only look the same are not one.
    private var occupants: [[UInt8]: Occupant] = [:]
    /// Numbers that no earlier process gave: what waits in the store is for a visit of then.
    private var visits = Int.random(in: 0..<1 << 52)
    /// It has not answered the last time that the bot wanted to come in.
    private(set) var isUnanswering = false
    private var conflicts = 0

    /// A room has no more that are remembered.
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

    /// Returns the nick that an occupant has by now, or nil where the visit is over.
    func nick(during visit: Int) -> String? {
        occupants.first { $0.value.visit == visit }.map { String(decoding: $0.key, as: UTF8.self) }
    }

    func isOwn(_ nick: String) -> Bool { Self.isSame(nick, self.nick) }

    /// What the bot is called in the room: its nick, and the configured one while somebody else has that.
    var names: [String] { isOwn(wantedNick) ? [nick] : [nick, wantedNick] }

    private static func isSame(_ one: String, _ other: String) -> Bool { one.utf8.elementsEqual(other.utf8) }

    /// What asks for the configured nick (section 7.6), or nil where the bot has it, or somebody else still does.
    func reclaim() -> XMLElement? {
        guard standing == .inside, conflicts > 0, !isOwn(wantedNick), occupant(wantedNick) == nil else { return nil }
        return XMLElement("presence", "", ["to": jid.with(wantedNick).description])
    }

    /// What asks to be let in, without the past; nil where it is in, was asked already, or is kept out.
    mutating func join() -> XMLElement? {
        guard standing == .outside else { return nil }
        standing = .joining
        occupants = [:]
        var muc = XMLElement("x", XMPPNames.muc, [:], [XMLElement("history", "", ["maxstanzas": "0"])])
        if let password { muc.append(XMLElement("password", text: password.reveal())) }
        return XMLElement("presence", "", ["to": jid.with(nick).description], [muc])
    }

    /// The connection is gone.
    mutating func leave() {
        if case .barred = standing { return }
        standing = .outside
        nick = wantedNick
        conflicts = 0
        occupants = [:]
    }

    /// It is not in, whatever was believed. Whether that is news.
    mutating func isPutOut() -> Bool {
        guard standing == .inside else { return false }
        standing = .outside
        return true
    }

    /// Nobody has answered a join. Whether it still waits for that.
    mutating func isUnanswered() -> Bool {
        guard standing == .joining else { return false }
        standing = .outside
        isUnanswering = true
        return true
    }

    mutating func take(_ presence: XMLElement, from occupant: String?) -> Action {
        switch presence["type"] {
        case "error": return refused(presence, occupant)
        case "unavailable": return left(presence, occupant)
        case nil: return came(presence, occupant)
        default: return .nothing
        }
    }

    private static func statuses(_ presence: XMLElement) -> Set<String> {
        Set(
            (presence.child("x", XMPPNames.mucUser)?.children ?? []).filter { $0.name == "status" }.compactMap {
                $0["code"]
            })
    }

    private mutating func came(_ presence: XMLElement, _ occupant: String?) -> Action {
        guard let occupant else { return .nothing }
        let item = presence.child("x", XMPPNames.mucUser)?.child("item")
        note(occupant, showing: item?["jid"].flatMap { JID($0) }?.bare)
        let statuses = Self.statuses(presence)
        // A service that says no 110 reflects our nick.
        guard statuses.contains("110") || isOwn(occupant) else { return .nothing }
        // The room may have given another one.
        nick = occupant
        if isOwn(wantedNick) { conflicts = 0 }
        let isNew = standing != .inside
        standing = .inside
        isUnanswering = false
        if statuses.contains("201") { return .unlock }
        return isNew ? .joined : .nothing
    }

    /// Remembers who has a nick. An occupant who is known already stays the same.
    private mutating func note(_ nick: String, showing account: JID?) {
        let key = Array(nick.utf8)
        guard occupants.count < Self.mostOccupants || occupants[key] != nil else { return }
        if occupants[key] == nil { visits += 1 }
        let visit = occupants[key]?.visit ?? visits
        occupants[key] = Occupant(jid: account.flatMap { vouches(for: $0) ? $0 : nil }, visit: visit)
    }

    /// Whether the room's service can know who has an account: any service knows those of its own domain, and could
    /// claim every other.
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
            let other = destroyed["jid"].map { "; \($0.excerpt()) is said to be in its place" } ?? ""
            return bar("was destroyed\(other)")
        }
        if statuses.contains("301") { return bar("has banned the bot\(why)") }
        if statuses.contains("321") || statuses.contains("322") {
            return bar("is for members only, and the bot is none")
        }
        return .joinLater(
            reason: statuses.contains("307") ? "the bot was kicked out\(why)" : "the bot was put out\(why)")
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
            return bar(password == nil ? "wants a password" : "does not take the password")
        case "forbidden": return bar("has banned the bot")
        case "registration-required": return bar("is for members only, and the bot is none")
        case "not-allowed": return bar("may not be made by the bot, and is not there")
        case "item-not-found": return .joinLater(reason: "its owner has not opened it yet")
        case "jid-malformed", "not-acceptable": return bar("does not take the nick \(nick)")
        default: return .joinLater(reason: "\(error)")
        }
    }

    private mutating func bar(_ reason: String) -> Action {
        standing = .barred(reason: reason)
        return .tell("The room \(jid) \(reason). The bot is not in it; it tries again when it is restarted.")
    }
}
