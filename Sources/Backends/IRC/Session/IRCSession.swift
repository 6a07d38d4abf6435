import PetrelKit
import PetrelSupport

/// The state of one connection: a pure state machine that takes messages and returns actions.
struct IRCSession: Sendable {
    /// The phase of the login.
    enum Phase: Sendable {
        case registering
        /// Waiting for NickServ.
        case identifying
        case open
    }

    /// A channel of the settings.
    struct Channel: Sendable {
        var name: String
        var key: Secret?
        var isInside = false
        /// The reason why the bot is not inside; nil while it joins.
        var trouble: String?
        /// The number of attempts to join since the last stable visit.
        var attempts = 0
        /// The number of the last timer.
        var timer = 0
        var entered: ContinuousClock.Instant?
        /// The modes; nil until the server has told them.
        var modes: Set<Unicode.Scalar>?

        /// True unless everyone may see and enter the channel: it is secret, private, for invited people only, or has
        /// a key.
        var isPrivate: Bool { modes?.isDisjoint(with: ["s", "p", "i", "k"]) != true }
    }

    let settings: IRCSettings
    let version: String
    var phase = Phase.registering
    var registration: IRCRegistration
    var people = IRCPeople()
    var nick: String
    var mask: String?
    var channels: [String: Channel] = [:]
    var channelTypes = "#&"
    /// The marks before nicks, by rank.
    var memberMarks = "~&@%+"
    var hasWHOX = false
    var nickAttempts = 0
    var messages = 0
    var seen = Newest<String, Bool>(10_000)
    var requests = RateLimit(burst: 3, perSecond: 0.2)
    var now = ContinuousClock.now

    init(_ settings: IRCSettings, version: String) {
        self.settings = settings
        self.version = version
        nick = settings.nick
        registration = IRCRegistration(settings.login)
        foldChannels()
    }

    /// The rules by which names are compared.
    var comparison: IRCCase {
        get { people.comparison }
        set {
            people.comparison = newValue
            foldChannels()
        }
    }

    func fold(_ name: String) -> String { comparison.fold(name) }

    func isOwn(_ nick: String) -> Bool { fold(nick) == fold(self.nick) }

    func isChannel(_ name: String) -> Bool {
        name.unicodeScalars.first.map { channelTypes.unicodeScalars.contains($0) } ?? false
    }

    private mutating func foldChannels() {
        channels = [:]
        for channel in settings.channels {
            channels[fold(channel.name)] = Channel(name: channel.name, key: channel.key)
        }
    }

    /// Starts the login.
    func start() -> [IRCAction] {
        var actions: [IRCAction] = [.send(IRCMessage("CAP", "LS", "302"))]
        if let password = settings.password { actions.append(.send(IRCMessage("PASS", password.reveal()))) }
        return actions + [
            .send(IRCMessage("NICK", nick)),
            .send(IRCMessage("USER", settings.username, "0", "*", settings.realname)),
            .schedule(.registration, settings.registering),
        ]
    }

    /// Processes a message of the server.
    mutating func receive(_ message: IRCMessage, at now: ContinuousClock.Instant) -> [IRCAction] {
        self.now = now
        if let actions = registration.receive(message) { return actions }
        if let actions = login(message) { return actions }
        if let actions = membership(message) { return actions }
        switch message.command {
        case "PING": return [.send(IRCMessage("PONG", message.parameters.last ?? ""))]
        case "PONG": return message.parameters.last.map { [.pong($0)] } ?? []
        case "ERROR": return [.fail(ended(message.parameters.last ?? ""))]
        case "PRIVMSG": return text(message)
        case "NOTICE": return notice(message)
        case "330":
            guard let nick = message[1], let account = message[2].flatMap(account) else { return [] }
            return [.account(nick: nick, account: account)]
        default: return refusal(message)
        }
    }

    /// Processes the end of a timer.
    mutating func fired(_ timer: IRCTimer, at now: ContinuousClock.Instant) -> [IRCAction] {
        self.now = now
        switch timer {
        case .registration:
            return phase == .open ? [] : [.fail(BackendFailure("the server did not complete the login in time"))]
        case .identification:
            guard phase == .identifying else { return [] }
            let note = "\(settings.nickServ?.nick ?? "NickServ") did not confirm the identification in time."
            return [.note(note, isWarning: true)] + open()
        case .join(let channel, let attempt):
            guard let state = channels[channel], !state.isInside, state.timer == attempt else { return [] }
            return join([channel])
        case .regain: return regain()
        }
    }

    /// Returns the ID of an account; nil if the text stands for no account or cannot be one.
    func account(_ text: String) -> String? { IRCIdentity.isAccount(text) ? fold(text) : nil }

    private func ended(_ reason: String) -> BackendFailure {
        let text = Printable.line(reason)
        let isPassword = phase == .registering && text.lowercased().utf8.contains("password".utf8)
        return BackendFailure("the server closed the connection: \(text)", isFinal: isPassword)
    }

    /// Returns the rejection of a command to a target, which the sender of a message waits for.
    private mutating func refusal(_ message: IRCMessage) -> [IRCAction] {
        guard message.command.utf8.first == 0x34 || message.command.utf8.first == 0x35 || message.command == "716",
            message.command.utf8.count == 3, let target = message[1]
        else { return [] }
        let reason = Printable.line(message.parameters.last ?? "")
        return joinRefused(message.command, target, reason)
            + [.refused(target: fold(target), code: message.command, reason: reason)]
    }
}
