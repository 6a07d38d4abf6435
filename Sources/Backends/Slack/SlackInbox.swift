import Foundation
import Logging
import PetrelKit
import PetrelSupport

/// What comes in an envelope, by its type.
enum SlackEnvelope: Sendable, Equatable {
    case event(JSONValue)
    case command(JSONValue)
    case interaction(JSONValue)

    /// Something was written, as against what only tells of names.
    var isOfMessage: Bool {
        guard case .event(let payload) = self else { return false }
        return ["message", "app_mention"].contains(payload["event"]?["type"]?.string)
    }

    init?(type: String, payload: JSONValue) {
        switch type {
        case "events_api": self = .event(payload)
        case "slash_commands": self = .command(payload)
        case "interactive": self = .interaction(payload)
        default: return nil
        }
    }
}

/// What people write: Slack's events made into messages, each once.
actor SlackInbox {
    private let identity: SlackIdentity
    private let names: SlackNames
    private let logger: Logger
    private let prompts: SlackPrompts
    /// Slack's time, in seconds since 1970.
    private let now: @Sendable () -> Double
    /// The people who were told that a message came too late, by channel.
    private var told: Set<String> = []
    private static let mostTold = 1_000
    private let isMeant: @Sendable (ChatMessage) -> Bool
    private let deliver: @Sendable (ChatMessage) async -> Void
    private let seen: SeenMessages
    private let settings: SlackSettings
    private let sender: SlackSender
    private let loop: EventLoopExecutor
    /// What is being handed over, by the channel it came in: what comes next there waits for it, and nobody elsewhere
    /// waits for its names.
    private var lanes: [String: (task: Task<Void, Never>, number: Int)] = [:]
    private var last = 0
    private var waiting = 0

    init(
        _ identity: SlackIdentity, _ names: SlackNames, _ prompts: SlackPrompts, _ seen: SeenMessages,
        _ settings: SlackSettings, _ sender: SlackSender, on loop: EventLoopExecutor, _ logger: Logger,
        now: @escaping @Sendable () -> Double,
        isMeant: @escaping @Sendable (ChatMessage) -> Bool,
        _ deliver: @escaping @Sendable (ChatMessage) async -> Void
    ) {
        self.identity = identity
        self.names = names
        self.prompts = prompts
        self.seen = seen
        self.settings = settings
        self.sender = sender
        self.loop = loop
        self.logger = logger
        self.now = now
        self.isMeant = isMeant
        self.deliver = deliver
    }

    /// Mentions in one message whose names are asked for; others stay ids.
    private static let mostNames = 20

    /// With more than these on their way the next one is not looked at yet.
    private static let mostWaiting = 1_000

    private func inTurn(in lane: String, _ work: @escaping @Sendable () async -> Void) async {
        let before = lanes[lane]?.task
        last += 1
        waiting += 1
        let number = last
        let task = Task(executorPreference: loop) {
            await before?.value
            await work()
            await self.leave(lane, number)
        }
        lanes[lane] = (task, number)
        if waiting >= Self.mostWaiting { await task.value }
    }

    private func leave(_ lane: String, _ number: Int) {
        waiting -= 1
        if lanes[lane]?.number == number { lanes[lane] = nil }
    }

    /// Returns once all that was taken is handed over.
    func drain() async { while let lane = lanes.first?.value { await lane.task.value } }

    /// Takes what was acknowledged.
    func take(_ envelope: SlackEnvelope) async {
        switch envelope {
        case .event(let payload):
            guard let event = payload["event"] else { return }
            if let rename = SlackRename(event) { return await names.take(rename) }
            guard let message = SlackMessage(event, identity), isMeant(Self.unnamed(message)) else { return }
            // By channel and time stamp: a mention comes as two events.
            guard await seen.isNew(message.key) else { return }
            if isTooOld(message) { return await inTurn(in: message.channel) { await self.tellLate(message) } }
            await inTurn(in: message.channel) { await self.take(message) }
        case .command(let payload):
            guard let command = SlackCommand(payload) else {
                return logger.warning("Slack sent a slash command without its parts; it is left out.")
            }
            guard settings.slashCommands.contains(command.name) else {
                logger.warning("\(command.name) is not among slash_commands; it is left out.")
                let text = "\(command.name) is none of my commands: it is not among slash_commands of my configuration."
                return await inTurn(in: command.channel) { [sender] in
                    await sender.explain(text, at: command.responseURL)
                }
            }
            if await seen.isNew(command.id) { await inTurn(in: command.channel) { await self.take(command) } }
        case .interaction(let payload):
            // Blocks that StackStorm's `extra` brought have buttons that are none of ours.
            guard let interaction = SlackInteraction(payload, shortcuts: settings.shortcuts) else { return }
            guard await seen.isNew(interaction.id) else { return }
            await inTurn(in: interaction.channel ?? interaction.user) { await self.take(interaction) }
        }
    }

    private func take(_ command: SlackCommand) async {
        // A direct chat of others looks like one with the bot.
        prompts.add(
            command.id, url: command.responseURL, trigger: command.trigger,
            command.isDirect ? .privateCommand : .command)
        // Not by the names that came along: a private channel is called “privategroup” there.
        async let place = command.isDirect ? nil : room(command.channel)
        async let who = person(command.user)
        async let words = named(command.text)
        await deliver(
            ChatMessage(
                id: command.id, sender: await who, room: await place, text: await words, isAddressed: true,
                slashCommand: command.name))
    }

    private func take(_ interaction: SlackInteraction) async {
        if let opener = interaction.opener {
            prompts.add(interaction.id, trigger: interaction.trigger, continuing: opener)
        } else {
            prompts.add(interaction.id, url: interaction.responseURL, trigger: interaction.trigger, .interaction)
        }
        let (isKept, form) = prompts.kept(interaction.line)
        if isKept { return await sender.reopen(form, for: interaction) }
        async let place = interaction.isDirect ? nil : room(interaction.channel ?? "")
        async let who = person(interaction.user)
        await deliver(
            ChatMessage(
                id: interaction.id, sender: await who, room: await place, thread: interaction.thread,
                text: interaction.line, isAddressed: true, values: interaction.values))
    }

    private func take(_ message: SlackMessage) async {
        async let place = message.isDirect ? nil : room(message.channel)
        async let who = person(message.user)
        async let words = named(message.text)
        await deliver(
            ChatMessage(
                id: Self.id(of: message), sender: await who, room: await place, thread: message.thread,
                text: await words, isAddressed: message.isAddressed))
    }

    /// As far as it is known without asking: names are for what is meant for the bot, not for all that people say.
    private static func unnamed(_ message: SlackMessage) -> ChatMessage {
        ChatMessage(
            id: id(of: message), sender: Person(id: message.user, name: message.user),
            room: message.isDirect ? nil : Room(id: message.channel, name: message.channel),
            text: message.text.typed(), isAddressed: message.isAddressed)
    }

    private func person(_ id: String) async -> Person {
        let name = await names.name(of: id)
        return Person(id: id, name: "@\(name ?? id)", isNamed: name != nil)
    }

    private func room(_ id: String) async -> Room {
        let name = await names.name(of: id)
        return Room(id: id, name: "#\(name ?? id)", isNamed: name != nil)
    }

    private func named(_ text: SlackText) async -> String {
        let ids = text.unnamed.prefix(Self.mostNames)
        guard !ids.isEmpty else { return text.typed() }
        let known = await withTaskGroup(of: (String, String?).self) { group in
            for id in ids { group.addTask { [names] in (id, await names.name(of: id)) } }
            var known: [String: String] = [:]
            for await (id, name) in group { known[id] = name }
            return known
        }
        return text.typed { known[$0] }
    }

    /// Before this time there was no Slack: it is no time stamp of a message.
    private static let beginning = 1_376_000_000.0

    /// Too much may have changed since it was written.
    private func isTooOld(_ message: SlackMessage) -> Bool {
        guard let most = settings.maximumAge, let time = Double(message.time), time >= Self.beginning else {
            return false
        }
        return now() - time > most / .seconds(1)
    }

    /// Said once to each person in each channel while the connection lasts: there may be many after a long absence.
    private func tellLate(_ message: SlackMessage) async {
        let key = "\(message.channel)/\(message.user)"
        guard told.count < Self.mostTold, told.insert(key).inserted else { return }
        logger.notice("A message in \(message.channel) came too late and was not run.")
        await sender.tell(
            "What you wrote came to me too late and was not run. Please send it again if it still matters.",
            asking: Self.id(of: message), in: message.channel, of: message.user, isDirect: message.isDirect,
            thread: message.thread)
    }

    /// Names the message and who wrote it.
    static func id(of message: SlackMessage) -> String { "\(message.channel)/\(message.time)/\(message.user)" }

    /// Names a slash command, a button and so on, and whose it is.
    static func id(_ channel: String, prompt trigger: String, _ user: String) -> String {
        "\(channel)/~\(trigger.replacing("/", with: "_"))/\(user)"
    }

    static func isPrompt(_ id: String) -> Bool { id.contains("/~") }

    /// The message with this id, as Slack names it; nil where it is none.
    static func message(of id: String) -> (channel: String, time: String)? {
        let parts = id.split(separator: "/").map(String.init)
        guard parts.count == 3, !isPrompt(id) else { return nil }
        return (parts[0], parts[1])
    }

    /// Who wrote the message with this id.
    static func sender(of id: String) -> String? {
        let parts = id.split(separator: "/")
        return parts.count == 3 ? String(parts[2]) : nil
    }
}

/// One message of a person, as Slack tells it (https://docs.slack.dev/reference/events/message).
struct SlackMessage: Sendable, Equatable {
    var channel: String
    /// Slack's time stamp, which names the message in its channel.
    var time: String
    var user: String
    var thread: String?
    var isDirect: Bool
    var isAddressed: Bool
    /// Taken apart, without the mention of the bot that begins it.
    var text: SlackText

    var key: String { "\(channel)/\(time)" }

    /// Nil for what no person wrote just now: the bot itself and others, edits, deletions, joins and so on.
    init?(_ event: JSONValue, _ identity: SlackIdentity) {
        guard ["message", "app_mention"].contains(event["type"]?.string), event["bot_id"] == nil,
            event["subtype"] == nil || ["file_share", "thread_broadcast"].contains(event["subtype"]?.string),
            event["edited"] == nil, let channel = event["channel"]?.string, let time = event["ts"]?.string,
            let user = event["user"]?.string, user != identity.user, let raw = event["text"]?.string
        else { return nil }
        self.channel = channel
        self.time = time
        self.user = user
        thread = event["thread_ts"]?.string
        isDirect = event["channel_type"]?.string.map { $0 == "im" } ?? channel.hasPrefix("D")
        let (rest, isMention) = Self.afterMention(of: identity.user, in: raw)
        isAddressed = isMention
        text = SlackText(rest)
    }

    /// Returns the text after `<@U1>` or `<@U1|name>` at its beginning.
    private static func afterMention(of user: String, in raw: String) -> (rest: String, isMention: Bool) {
        let trimmed = raw.unicodeScalars.drop { $0.properties.isWhitespace }
        let mention = "<@\(user)".unicodeScalars
        guard trimmed.starts(with: mention) else { return (raw, false) }
        let tail = trimmed.dropFirst(mention.count)
        guard tail.first == ">" || tail.first == "|", let end = tail.firstIndex(of: ">") else { return (raw, false) }
        let rest = tail[end...].dropFirst().drop { $0.properties.isWhitespace || $0 == ":" || $0 == "," }
        return (String(rest), true)
    }
}
