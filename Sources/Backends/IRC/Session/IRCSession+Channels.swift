import PetrelKit
import PetrelSupport

extension IRCSession {
    private static let longestPause = Duration.seconds(300)
    /// The time after which a visit to a channel counts as stable.
    private static let stable = Duration.seconds(60)
    /// The token that marks the answers to the bot's WHOX requests.
    private static let token = "742"

    /// Joins channels, and schedules the next attempt.
    mutating func join(_ keys: [String]) -> [IRCAction] {
        var open: [String] = []
        var actions: [IRCAction] = []
        for key in keys {
            guard let channel = channels[key], !channel.isInside else { continue }
            actions.append(scheduleJoin(key))
            if let word = channel.key {
                actions.append(.send(IRCMessage("JOIN", channel.name, word.reveal())))
            } else {
                open.append(channel.name)
            }
        }
        return Self.lists(of: open).map { .send(IRCMessage("JOIN", $0)) } + actions
    }

    /// Returns lists of channels that fit into a message.
    private static func lists(of names: [String]) -> [String] {
        names.reduce(into: []) { lists, name in
            if let last = lists.last, last.utf8.count + name.utf8.count < 400 {
                lists[lists.count - 1] = "\(last),\(name)"
            } else {
                lists.append(name)
            }
        }
    }

    private mutating func scheduleJoin(_ key: String) -> IRCAction {
        let attempts = channels[key]?.attempts ?? 0
        channels[key]?.attempts = attempts + 1
        let timer = (channels[key]?.timer ?? 0) + 1
        channels[key]?.timer = timer
        // Joining takes a round trip at least, so that the first repetition is not immediate.
        let pause = min(settings.rejoining * Double(1 << min(attempts, 10)), Self.longestPause)
        return .schedule(.join(channel: key, attempt: timer), pause)
    }

    /// Records that the server did not let the bot in. The timer of the attempt joins again.
    mutating func joinRefused(_ code: String, _ target: String, _ reason: String) -> [IRCAction] {
        let key = fold(target)
        guard ["403", "405", "437", "471", "473", "474", "475", "476", "477", "489", "520"].contains(code),
            let channel = channels[key], !channel.isInside
        else { return [] }
        defer { channels[key]?.trouble = reason }
        guard channel.trouble != reason else { return [] }
        return [.note("Cannot join \(channel.name): \(reason)", isWarning: true)]
    }

    /// Processes changes of channels and people. Returns nil for other messages.
    mutating func membership(_ message: IRCMessage) -> [IRCAction]? {
        switch message.command {
        case "353":
            names(message)
            return []
        case "354":
            whoAnswered(message)
            return []
        case "324":
            if let channel = message[1] { channels[fold(channel)]?.modes = [] }
            changeModes(message[1], message[2])
            return []
        case "MODE":
            changeModes(message[0], message[1])
            return []
        case "JOIN", "PART", "KICK", "QUIT", "NICK", "ACCOUNT", "CHGHOST":
            guard let source = message.source else { return [] }
            return change(message, by: source)
        default: return nil
        }
    }

    private mutating func change(_ message: IRCMessage, by source: IRCMessage.Source) -> [IRCAction] {
        switch message.command {
        case "JOIN": return joined(message, source)
        case "PART": return (message[0] ?? "").channelList.flatMap { left(source.nick, $0, "removed from") }
        case "KICK": return kicked(message)
        case "QUIT":
            people.quit(source.nick)
            return released(source.nick)
        case "NICK": return renamed(source.nick, to: message[0] ?? "")
        case "ACCOUNT": people.changed(source.nick, account: message[0].flatMap(account))
        case "CHGHOST":
            if let user = message[0], let host = message[1] { people.changed(source.nick, mask: "\(user)@\(host)") }
            if isOwn(source.nick), let user = message[0], let host = message[1] { mask = "\(user)@\(host)" }
        default: break
        }
        return []
    }

    private mutating func joined(_ message: IRCMessage, _ source: IRCMessage.Source) -> [IRCAction] {
        guard let name = message[0] else { return [] }
        guard isOwn(source.nick) else {
            let known = registration.enabled.contains("extended-join") ? message[1].flatMap(account) : nil
            people.joined(source.nick, name, mask: source.mask, account: known)
            if channels[fold(name)] == nil { people.left(source.nick, name) }
            return []
        }
        mask = source.mask ?? mask
        let key = fold(name)
        // The server forwarded or forced the bot into another channel.
        guard channels[key] != nil else { return [.send(IRCMessage("PART", name))] }
        people.emptied(name)
        channels[key]?.isInside = true
        channels[key]?.trouble = nil
        channels[key]?.entered = now
        channels[key]?.name = name
        channels[key]?.modes = nil
        let note = IRCAction.note("Joined \(name).", isWarning: false)
        let people = knowsAccounts && hasWHOX ? [IRCAction.send(IRCMessage("WHO", name, "%tuhna,\(Self.token)"))] : []
        return [note, .send(IRCMessage("MODE", name))] + people
    }

    /// Applies a list of modes, such as `+nt-s`, to what is known of a channel.
    private mutating func changeModes(_ channel: String?, _ modes: String?) {
        guard let key = channel.map(fold), var known = channels[key]?.modes, let modes else { return }
        var isSet = true
        for mode in modes.unicodeScalars {
            switch mode {
            case "+": isSet = true
            case "-": isSet = false
            default: if isSet { known.insert(mode) } else { known.remove(mode) }
            }
        }
        channels[key]?.modes = known
    }

    /// True if the server reports every login and logout of people in channels.
    var knowsAccounts: Bool { registration.enabled.isSuperset(of: ["account-notify", "extended-join"]) }

    private mutating func left(_ nick: String, _ channel: String, _ reason: String) -> [IRCAction] {
        guard isOwn(nick) else {
            people.left(nick, channel)
            return []
        }
        people.emptied(channel)
        let key = fold(channel)
        guard let state = channels[key], state.isInside else { return [] }
        if let entered = state.entered, entered.duration(to: now) >= Self.stable { channels[key]?.attempts = 0 }
        channels[key]?.isInside = false
        channels[key]?.trouble = "the bot was \(reason) the channel"
        return [
            .note("The bot was \(reason) \(state.name), and joins it again.", isWarning: true), scheduleJoin(key),
        ]
    }

    private mutating func kicked(_ message: IRCMessage) -> [IRCAction] {
        guard let channel = message[0], let nick = message[1] else { return [] }
        return nick.channelList.flatMap { left($0, channel, "kicked from") }
    }

    private mutating func renamed(_ old: String, to new: String) -> [IRCAction] {
        guard !new.isEmpty else { return [] }
        let isOwn = isOwn(old)
        if isOwn { nick = new }
        people.renamed(old, to: new)
        guard isOwn else { return released(old) }
        return fold(new) == fold(settings.nick) ? [] : [.schedule(.regain, settings.regaining)]
    }

    /// Reads the names of the people in a channel.
    private mutating func names(_ message: IRCMessage) {
        guard message.parameters.count >= 4, let channel = message[2], channels[fold(channel)]?.isInside == true else {
            return
        }
        for word in message.parameters[3].words {
            let text = String(word.unicodeScalars.drop { memberMarks.unicodeScalars.contains($0) })
            guard let source = IRCMessage.Source(text), !isOwn(source.nick) else { continue }
            people.joined(source.nick, channel, mask: source.mask)
        }
    }

    /// Reads the account of a person in a channel: token, user, host, nick, account.
    private mutating func whoAnswered(_ message: IRCMessage) {
        guard message.parameters.count == 6, message[1] == Self.token, let nick = message[4] else { return }
        guard people.occupant(nick) != nil else { return }
        if let user = message[2], let host = message[3] { people.changed(nick, mask: "\(user)@\(host)") }
        people.changed(nick, account: message[5].flatMap(account))
    }
}

extension String {
    /// The names in a list with commas.
    fileprivate var channelList: [String] { unicodeScalars.split(separator: ",").map { String($0) } }
}
