import Foundation
import Logging
import PetrelKit
import PetrelSupport

/// The payload of an envelope, by type.
enum SlackEnvelope: Sendable, Equatable {
    case event(JSONValue)
    case command(JSONValue)
    case interaction(JSONValue)

    /// True for message events, as opposed to events that report renames.
    var isOfMessage: Bool {
        guard case .event(let payload) = self else { return false }
        return ["message", "app_mention"].contains(payload["event"]?["type"]?.string)
    }

    /// Returns nil for unknown types.
    init?(type: String, payload: JSONValue) {
        switch type {
        case "events_api": self = .event(payload)
        case "slash_commands": self = .command(payload)
        case "interactive": self = .interaction(payload)
        default: return nil
        }
    }
}

/// Converts envelopes to chat messages, and delivers each once, in order per channel.
actor SlackInbox {
    /// The identity of the bot; nil without a bot token, so that messages, which could not be answered, are ignored.
    private let identity: SlackIdentity?
    private let names: SlackNames
    private let logger: Logger
    private let prompts: SlackPrompts
    /// The time of Slack's servers, in seconds since 1970.
    private let now: @Sendable () -> Double
    /// The users, per channel, who were notified that a message arrived too late.
    private var notified: Set<String> = []
    private static let maximumNotified = 1_000
    private let isMeant: @Sendable (inout ChatMessage) -> Bool
    private let deliver: @Sendable (ChatMessage) async -> Void
    private let seen: SeenMessages
    private let settings: SlackSettings
    private let sender: SlackSender
    private let loop: EventLoopExecutor
    /// The last queued task per channel. Each task waits for its predecessor, so a slow name lookup delays only its own
    /// channel.
    private var queues: [String: (task: Task<Void, Never>, number: Int)] = [:]
    private var last = 0
    private var waiting = 0

    init(
        _ identity: SlackIdentity?, _ names: SlackNames, _ prompts: SlackPrompts, _ seen: SeenMessages,
        _ settings: SlackSettings, _ sender: SlackSender, on loop: EventLoopExecutor, _ logger: Logger,
        now: @escaping @Sendable () -> Double,
        isMeant: @escaping @Sendable (inout ChatMessage) -> Bool,
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

    /// The maximum number of mentions per message whose names are looked up; further ones keep their IDs.
    private static let mostNames = 20

    /// The number of pending tasks at which accepting the next envelope is delayed.
    private static let mostWaiting = 1_000

    private func inTurn(in channel: String, _ work: @escaping @Sendable () async -> Void) async {
        let before = queues[channel]?.task
        last += 1
        waiting += 1
        let number = last
        let task = Task(executorPreference: loop) {
            await before?.value
            await work()
            await self.finish(channel, number)
        }
        queues[channel] = (task, number)
        if waiting >= Self.mostWaiting { await task.value }
    }

    private func finish(_ channel: String, _ number: Int) {
        waiting -= 1
        if queues[channel]?.number == number { queues[channel] = nil }
    }

    /// The number of messages that are accepted and not delivered.
    var pending: Int { waiting }

    /// Returns when all accepted messages have been delivered.
    func drain() async { while let queue = queues.first?.value { await queue.task.value } }

    /// Processes an acknowledged envelope.
    func take(_ envelope: SlackEnvelope) async {
        switch envelope {
        case .event(let payload):
            guard let event = payload["event"] else { return }
            if let rename = SlackRename(event) { return await names.take(rename) }
            guard let identity, let message = SlackMessage(event, identity) else { return }
            var read = Self.unnamed(message)
            guard isMeant(&read) else { return }
            // By channel and timestamp, because Slack sends two events for a mention.
            guard await seen.isNew(message.key) else { return }
            if isTooOld(message) { return await inTurn(in: message.channel) { await self.tellLate(message) } }
            await inTurn(in: message.channel) { [read] in await self.take(message, read) }
        case .command(let payload):
            guard let command = SlackCommand(payload) else {
                return logger.warning("Ignored a slash command without required fields.")
            }
            guard settings.slashCommands.contains(command.name) else {
                logger.warning("Ignored \(command.name), which is not in slash_commands.")
                let text =
                    "Unknown command \(command.name): it is not in slash_commands in the configuration of the bot."
                return await inTurn(in: command.channel) { [sender] in
                    await sender.explain(text, at: command.responseURL)
                }
            }
            if await seen.isNew(command.id) { await inTurn(in: command.channel) { await self.take(command) } }
        case .interaction(let payload):
            // Blocks from StackStorm's `extra` may contain buttons that do not belong to the bot.
            guard let interaction = SlackInteraction(payload, shortcuts: settings.shortcuts) else { return }
            guard await seen.isNew(interaction.id) else { return }
            await inTurn(in: interaction.channel ?? interaction.user) { await self.take(interaction) }
        }
    }

    private func take(_ command: SlackCommand) async {
        // A direct message channel of other users cannot be distinguished from the bot's own.
        prompts.add(
            command.id, url: command.responseURL, trigger: command.trigger,
            command.isDirect ? .privateCommand : .command)
        // The names in the payload are not used: every private channel is named “privategroup” there.
        async let place = command.isDirect ? nil : room(command.channel)
        async let who = person(command.user)
        async let words = named(command.text)
        await deliver(
            ChatMessage(
                id: command.id, sender: await who, room: await place, text: await words ?? command.text.typed(),
                isAddressed: true,
                slashCommand: command.name))
    }

    private func take(_ interaction: SlackInteraction) async {
        if let opener = interaction.opener {
            prompts.add(interaction.id, trigger: interaction.trigger, continuing: opener)
        } else {
            let kind: SlackPrompts.Kind =
                identity != nil ? .interaction : interaction.isDirect ? .privateCommand : .command
            prompts.add(interaction.id, url: interaction.responseURL, trigger: interaction.trigger, kind)
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

    /// Delivers a message with its names.
    /// - Parameter read: The message without them, as it was read.
    private func take(_ message: SlackMessage, _ read: ChatMessage) async {
        async let place = message.isDirect ? nil : room(message.channel)
        async let who = person(message.user)
        async let words = named(message.text)
        var named = read
        (named.sender, named.room, named.thread) = (await who, await place, message.thread)
        if let words = await words { named.text = words }
        await deliver(named)
    }

    /// Returns a message with IDs in place of names, which are looked up only for messages to the bot.
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
        return Room(
            id: id, name: "#\(name ?? id)", isNamed: name != nil, isPrivate: await names.isPrivate(id))
    }

    /// Returns the text with the names of the people in it; nil if no name was found, so that it is what it was.
    private func named(_ text: SlackText) async -> String? {
        let ids = text.unnamed.prefix(Self.mostNames)
        guard !ids.isEmpty else { return nil }
        let known = await withTaskGroup(of: (String, String?).self) { group in
            for id in ids { group.addTask { [names] in (id, await names.name(of: id)) } }
            var known: [String: String] = [:]
            for await (id, name) in group { known[id] = name }
            return known
        }
        return known.isEmpty ? nil : text.typed { known[$0] }
    }

    /// The launch of Slack, in seconds since 1970. An earlier value is not a timestamp of a message.
    private static let earliest = 1_376_000_000.0

    /// True if the message is older than `max_age`: circumstances may have changed since it was written.
    private func isTooOld(_ message: SlackMessage) -> Bool {
        guard let most = settings.maximumAge, let time = Double(message.time), time >= Self.earliest else {
            return false
        }
        return now() - time > most / .seconds(1)
    }

    /// Notifies a user once per channel and connection: many late messages may arrive after a long outage.
    private func tellLate(_ message: SlackMessage) async {
        let key = "\(message.channel)/\(message.user)"
        guard notified.count < Self.maximumNotified, notified.insert(key).inserted else { return }
        logger.notice("A message in \(message.channel) arrived too late and was not run.")
        await sender.tell(
            "Your message arrived too late and was not run. Please send it again if it is still needed.",
            asking: Self.id(of: message), in: message.channel, of: message.user, isDirect: message.isDirect,
            thread: message.thread)
    }

    /// Returns the ID of a message, which includes its author.
    static func id(of message: SlackMessage) -> String { "\(message.channel)/\(message.time)/\(message.user)" }

    /// Returns the ID of a slash command or an interaction, which includes its user.
    static func id(_ channel: String, prompt trigger: String, _ user: String) -> String {
        "\(channel)/~\(trigger.replacing("/", with: "_"))/\(user)"
    }

    /// Returns true if an ID belongs to a slash command or an interaction.
    static func isPrompt(_ id: String) -> Bool { id.contains("/~") }

    /// Returns the channel and the timestamp of a message ID; nil for other IDs.
    static func message(of id: String) -> (channel: String, time: String)? {
        let parts = id.split(separator: "/").map(String.init)
        guard parts.count == 3, !isPrompt(id) else { return nil }
        return (parts[0], parts[1])
    }

    /// Returns the ID of the user from a message ID or the ID of a slash command or an interaction.
    static func sender(of id: String) -> String? {
        let parts = id.split(separator: "/")
        return parts.count == 3 ? String(parts[2]) : nil
    }
}

/// A message event from a user (https://docs.slack.dev/reference/events/message).
struct SlackMessage: Sendable, Equatable {
    var channel: String
    /// The timestamp, which identifies the message in its channel.
    var time: String
    var user: String
    var thread: String?
    var isDirect: Bool
    var isAddressed: Bool
    /// The text, without a leading mention of the bot.
    var text: SlackText

    var key: String { "\(channel)/\(time)" }

    /// Returns nil for everything except new messages from users: bots, edits, deletions, joins and so on.
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

    /// Returns the text after a leading `<@U1>` or `<@U1|name>`.
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
