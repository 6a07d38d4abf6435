import PetrelKit
import PetrelSupport

extension IRCSession {
    /// Processes the replies to the login. Returns nil for other messages.
    mutating func login(_ message: IRCMessage) -> [IRCAction]? {
        switch message.command {
        case "001": return welcomed(message)
        case "005":
            for token in message.parameters.dropFirst().dropLast() { support(token) }
            return []
        case "376", "422": return phase == .registering ? identify() : []
        case "396":
            return []
        case "432", "433", "436": return collided(message)
        case "437" where !isChannel(message[1] ?? ""): return collided(message)
        case "464": return [.fail(BackendFailure("the server rejected the password", isFinal: true))]
        case "465":
            let reason = Printable.line(message.parameters.last ?? "")
            return [.fail(BackendFailure("the bot is banned from the server: \(reason)", isFinal: true))]
        case "900": return identified()
        case "MODE" where message[0].map(isOwn) == true: return modeChanged(message[1] ?? "")
        default: return nil
        }
    }

    private mutating func welcomed(_ message: IRCMessage) -> [IRCAction] {
        guard settings.login == nil || registration.isLoggedIn else {
            return [.fail(BackendFailure("the server completed the login without SASL, which the settings require"))]
        }
        if let name = message[0], name != "*" { nick = name }
        return []
    }

    /// Reads one token of ISUPPORT.
    private mutating func support(_ token: String) {
        let scalars = token.unicodeScalars
        let name = scalars.prefix { $0 != "=" }
        let value = String(scalars[name.endIndex...].dropFirst())
        switch String(name) {
        case "CASEMAPPING": if let rules = IRCCase(rawValue: value), phase == .registering { comparison = rules }
        case "CHANTYPES": channelTypes = value
        case "PREFIX": memberMarks = String(value.unicodeScalars.drop { $0 != ")" }.dropFirst())
        case "WHOX": hasWHOX = true
        default: break
        }
    }

    private mutating func identify() -> [IRCAction] {
        guard let service = settings.nickServ else { return open() }
        phase = .identifying
        let words = isOwn(settings.nick) ? [] : [settings.nick]
        let text = (["IDENTIFY"] + words + [service.password.reveal()]).joined(separator: " ")
        return [
            .send(IRCMessage("PRIVMSG", service.nick, text)), .schedule(.identification, settings.identifying),
        ]
    }

    private mutating func identified() -> [IRCAction] { phase == .identifying ? open() : [] }

    private mutating func modeChanged(_ modes: String) -> [IRCAction] {
        // `r` marks a client that has identified to its nick.
        modes.utf8.first == UInt8(ascii: "+") && modes.utf8.contains(UInt8(ascii: "r")) ? identified() : []
    }

    /// Reads a notice of NickServ while the bot waits for it.
    mutating func serviceAnswered(_ text: String) -> [IRCAction] {
        guard phase == .identifying else { return [] }
        let words = text.lowercased()
        func says(_ parts: [String]) -> Bool { parts.contains { words.utf8.contains($0.utf8) } }
        // The first notice usually asks for the identification, so that only a result ends the wait.
        if says(["incorrect", "invalid", "denied", "not registered", "isn't registered", "failed"]) {
            return [.note("NickServ rejected the identification: \(Printable.line(text))", isWarning: true)] + open()
        }
        return says(["identified", "recognized", "recognised", "logged in", "accepted"]) ? open() : []
    }

    /// Ends the login, and joins the channels.
    mutating func open() -> [IRCAction] {
        phase = .open
        var actions: [IRCAction] = [.opened]
        if !isOwn(settings.nick) { actions.append(.schedule(.regain, settings.regaining)) }
        return actions + join(channels.keys.sorted())
    }
}

extension IRCSession {
    private static let mostNickAttempts = 5

    /// Chooses another nick at login: the configured one with `_` appended. Later, the bot keeps the nick that it has.
    private mutating func collided(_ message: IRCMessage) -> [IRCAction] {
        guard phase == .registering else { return [] }
        nickAttempts += 1
        guard nickAttempts <= Self.mostNickAttempts else {
            let reason = Printable.line(message.parameters.last ?? "")
            return [.fail(BackendFailure("the server rejects the nicks of the bot: \(reason)"))]
        }
        nick = settings.nick + String(repeating: "_", count: nickAttempts)
        return [.send(IRCMessage("NICK", nick))]
    }

    /// Tries to get the configured nick.
    func regain() -> [IRCAction] {
        guard phase == .open, !isOwn(settings.nick) else { return [] }
        return [.send(IRCMessage("NICK", settings.nick)), .schedule(.regain, settings.regaining)]
    }

    /// Tries to get the configured nick at once, because its user has left it.
    func released(_ nick: String) -> [IRCAction] {
        guard phase == .open, fold(nick) == fold(settings.nick), !isOwn(nick) else { return [] }
        return [.send(IRCMessage("NICK", settings.nick))]
    }
}
