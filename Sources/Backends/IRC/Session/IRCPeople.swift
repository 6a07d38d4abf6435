import PetrelSupport

/// The people in the bot's channels, and who they are.
///
/// The server reports all changes of nicks, visits and accounts in channels, in order. About a person who shares no
/// channel with the bot, only the sender of each message is known.
struct IRCPeople: Sendable {
    /// A person who shares a channel with the bot.
    struct Occupant: Sendable {
        var nick: String
        /// The ID while the account is unknown.
        let visit: String
        /// The account; nil if the person has none, or if it is unknown.
        var account: String?
        var mask: String?
        fileprivate var channels: Set<String> = []
    }

    /// The last nick and mask of a person who shares no channel with the bot.
    private struct Stranger: Sendable {
        var nick: String
        var mask: String?
    }

    /// The maximum number of people in memory.
    private static let capacity = 100_000

    /// The rules by which nicks and channels are compared.
    var comparison = IRCCase.rfc1459
    private var occupants: [String: Occupant] = [:]
    private var strangers = Newest<String, Stranger>(10_000)
    /// The latest mask of each stranger's nick.
    private var masks = Newest<String, Stranger>(10_000)
    private var lastNicks = Newest<String, String>(10_000)

    init() {}

    /// Returns the person with a nick, if the person shares a channel with the bot.
    func occupant(_ nick: String) -> Occupant? { occupants[fold(nick)] }

    /// The number of people in a channel.
    func count(in channel: String) -> Int { occupants.values.count { $0.channels.contains(fold(channel)) } }

    private func fold(_ name: String) -> String { comparison.fold(name) }

    /// Adds a person to a channel.
    mutating func joined(_ nick: String, _ channel: String, mask: String? = nil, account: String? = nil) {
        let key = fold(nick)
        guard occupants[key] != nil || occupants.count < Self.capacity else { return }
        var occupant = occupants[key] ?? Occupant(nick: nick, visit: IRCIdentity.newVisit(of: key))
        occupant.nick = nick
        occupant.mask = mask ?? occupant.mask
        occupant.account = account ?? occupant.account
        occupant.channels.insert(fold(channel))
        occupants[key] = occupant
    }

    /// Removes a person from a channel. The visit ends with the last common channel, because the bot cannot see what
    /// happens to the nick after that.
    mutating func left(_ nick: String, _ channel: String) {
        let key = fold(nick)
        let name = fold(channel)
        occupants[key]?.channels.remove(name)
        if occupants[key]?.channels.isEmpty == true { occupants[key] = nil }
    }

    /// Removes a person who has disconnected.
    mutating func quit(_ nick: String) {
        occupants[fold(nick)] = nil
        masks[fold(nick)] = Stranger(nick: nick)
    }

    /// Changes the nick of a person, who keeps the visit.
    mutating func renamed(_ old: String, to new: String) {
        guard var occupant = occupants.removeValue(forKey: fold(old)) else { return }
        occupant.nick = new
        occupants[fold(new)] = occupant
        if let account = occupant.account { lastNicks.set(new, for: account) }
    }

    /// Sets the account of a person; nil after a logout. A person who had an account keeps the visit.
    mutating func changed(_ nick: String, account: String?) {
        let key = fold(nick)
        occupants[key]?.account = account
    }

    /// Sets the mask of a person, who keeps the visit.
    mutating func changed(_ nick: String, mask: String) {
        let key = fold(nick)
        occupants[key]?.mask = mask
    }

    /// Removes all people from a channel, which the bot has left.
    mutating func emptied(_ channel: String) {
        let key = fold(channel)
        for (nick, occupant) in occupants where occupant.channels.contains(key) {
            occupants[nick]?.channels.remove(key)
            if occupants[nick]?.channels.isEmpty == true { occupants[nick] = nil }
        }
    }

    /// Returns the ID of a visit for a message from a person whose account is not known.
    mutating func visit(of nick: String, mask: String?) -> String {
        if let occupant = occupants[fold(nick)] { return occupant.visit }
        // The next message with this nick may come from another person, so that it gets another ID.
        let id = IRCIdentity.newVisit(of: fold(nick))
        let stranger = Stranger(nick: nick, mask: mask)
        strangers[id] = stranger
        masks.set(stranger, for: fold(nick))
        return id
    }

    /// Records the nick with which an account has sent a message.
    mutating func spoke(_ nick: String, account: String) { lastNicks.set(nick, for: account) }

    /// Returns the current nick of a visit; nil if the visit has ended or is unknown.
    func nick(during visit: String) -> String? {
        if let occupant = occupants.values.first(where: { $0.visit == visit }) { return occupant.nick }
        guard let stranger = strangers[visit], let latest = masks[fold(stranger.nick)], stranger.mask == latest.mask
        else { return nil }
        return stranger.nick
    }

    /// Returns the nick of a person in the bot's channels who uses an account.
    func nick(of account: String) -> String? {
        let nicks = occupants.values.lazy.filter { $0.account == account }.map(\.nick)
        // The one who has spoken last, because one account may be used by several clients.
        if let last = lastNicks[account], nicks.contains(where: { fold($0) == fold(last) }) { return last }
        return nicks.min()
    }

    /// Returns the nick that an account has used last; nil if it is unknown.
    func lastNick(of account: String) -> String? { lastNicks[account] }
}

extension Newest {
    /// Sets the value of a key.
    fileprivate mutating func set(_ value: Value, for key: Key) { self[key] = value }
}
