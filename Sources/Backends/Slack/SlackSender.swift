import Foundation
import Logging
import PetrelKit
import PetrelSupport

/// Sends replies to Slack: as messages, ephemeral messages, answers at a response URL, reactions, forms or files.
final class SlackSender: Sendable {
    /// Opens when Slack has rejected the bot token, after which no reply can be sent.
    let refused = Signal()

    private let backend: String
    private let settings: SlackSettings
    private let api: SlackAPI
    private let names: SlackNames
    private let prompts: SlackPrompts
    private let logger: Logger

    init(
        _ backend: String, _ settings: SlackSettings, _ api: SlackAPI, _ names: SlackNames, _ prompts: SlackPrompts,
        on loop: EventLoopExecutor, _ logger: Logger
    ) {
        self.backend = backend
        self.settings = settings
        self.api = api
        self.names = names
        self.prompts = prompts
        self.logger = logger
    }

    /// Sends a reply. Throws ``SendFailure``.
    func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        try await noting {
            var reply = reply
            // Only an answer to the user's own action may open a form.
            if let form = reply.form, [.answer, .error].contains(reply.kind) {
                switch try await open(form, for: address, problem: reply.kind == .error ? reply.text : nil) {
                case .opened: return nil
                case .later where reply.kind == .error:
                    // The button reopens the form with the entered values.
                    reply.form = nil
                    reply.buttons.append(Button("\(form.submit)…", line: prompts.keep(form), style: .primary))
                case .later: break
                case .never:
                    reply.form = nil
                    let shown = reply.style == .markdown ? Markdown.escaped("\(form)") : "\(form)"
                    reply.text += "\n\(shown)\nSlack cannot show this as a form; please type the command."
                }
            }
            guard !reply.text.isEmpty || reply.extra["slack"] != nil else { return nil }
            do {
                return try await say(reply, to: address)
            } catch let error as SlackError where error.isAboutContent && reply.extra["slack"] != nil {
                // The alias contains an error; the user who ran it still gets the text.
                logger.warning("Slack rejected extra.slack; only the text was sent: \(error)")
                reply.extra["slack"] = nil
                if reply.text.isEmpty { reply.text = "(Slack rejected the content of this message: \(error.code).)" }
                return try await say(reply, to: address)
            }
        }
    }

    private func noting(
        _ send: () async throws -> MessageReference?
    ) async throws -> MessageReference? {
        do {
            return try await send()
        } catch let error as SlackError {
            if error.isFinal { refused.open() }
            throw SendFailure("\(error)", error.remedy)
        }
    }

    private func say(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        try await inThread(of: address) { try await sayThere(reply, to: $0) }
    }

    /// Sends to an address. If Slack refuses its thread, which a script or a rule may have named, it sends to the address
    /// outside of threads, so that the message is not lost.
    private func inThread<Value>(
        of address: Address, _ send: (Address) async throws -> Value
    ) async throws -> Value {
        do {
            return try await send(address)
        } catch let error as SlackError where address.thread != nil && error.isAboutThread {
            logger.warning("Slack refused the thread of a message, which was sent outside of threads: \(error)")
            var address = address
            address.thread = nil
            return try await send(address)
        }
    }

    private func sayThere(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        if let (url, isPrivate, isLast) = prompts.takeURL(address.inReplyTo, isPrivate: Self.isPersonal(reply, address))
        {
            var reply = reply
            if isLast, !settings.hasBotToken {
                reply.text += (reply.text.isEmpty ? "" : "\n") + Self.lastNote
            }
            do {
                return try await respond(reply, at: url, isPrivate, address)
            } catch let error as SlackError where error.code == SlackError.expiredAddress {
                address.inReplyTo.map(prompts.drop)
            }
        }
        return try await postOrWhisper(reply, to: address)
    }

    /// Adds a reaction. Returns false if Slack rejects it, for example because the emoji does not exist.
    private func react(with emoji: String, to message: (channel: String, time: String)) async throws -> Bool {
        do {
            try await api.call(
                "reactions.add",
                [
                    "channel": .string(message.channel), "timestamp": .string(message.time), "name": .string(emoji),
                ])
        } catch let error as SlackError where error.code == "already_reacted" {
            // An earlier attempt succeeded, but its response was lost.
        } catch let error as SlackError where error.remedy == .never {
            logger.warning("Cannot add ack_reaction \(emoji); the acknowledgement is sent as text: \(error)")
            return false
        }
        return true
    }

    /// Returns the ID of a place. StackStorm rules and `bot.admin_rooms` may refer to a channel by name.
    private func id(of place: Address.Place) async throws -> String {
        switch place {
        case .room(let name) where name.hasPrefix("#"):
            guard let id = try await names.channel(named: String(name.dropFirst())) else {
                throw SendFailure("the bot is not in a channel named \(name): invite it to the channel", .never)
            }
            return id
        case .direct(let name) where name.hasPrefix("@"):
            guard let id = try await names.person(named: String(name.dropFirst())) else {
                throw SendFailure("no user in the workspace is named \(name)", .never)
            }
            return id
        case .room(let id), .direct(let id): return id
        }
    }

    /// True for private replies, and for errors of slash commands and interactions, which only their user can see.
    private static func isPersonal(_ reply: Reply, _ address: Address) -> Bool {
        reply.isPrivate || reply.isConfidential
            || reply.kind == .error && address.inReplyTo.map(SlackInbox.isPrompt) == true
    }

    /// Returns the user in a room who may read a private reply; nil if everyone may read it.
    private static func reader(of reply: Reply, at address: Address) throws -> String? {
        guard isPersonal(reply, address), case .room = address.place else { return nil }
        guard let person = address.inReplyTo.flatMap(SlackInbox.sender) else {
            throw SendFailure("the reply is private, and its recipient is unknown", .never)
        }
        return person
    }

    /// Answers at a response URL, which also works in channels that the bot is not a member of.
    /// The end of the last message at a response URL, if there is no other way to send.
    private static let lastNote =
        "(Slack accepts five messages in answer to one command, and this is the fifth; further ones are not shown.)"

    private func respond(
        _ reply: Reply, at url: URL, _ isPrivate: Bool, _ address: Address
    ) async throws -> MessageReference? {
        var arguments = SlackContent.arguments(reply)
        arguments["response_type"] = isPrivate ? "ephemeral" : "in_channel"
        arguments["replace_original"] = false
        // Here Slack gives no reason for which it refuses a message, so the thread may be that.
        try await inThread(of: address) { address in
            arguments["thread_ts"] = address.thread.map { .string($0) }
            do {
                try await api.respond(at: url, arguments)
            } catch let error as SlackError where error.code == SlackError.refused && address.thread != nil {
                throw SlackError(error.method, SlackError.refusedThread, error.detail)
            }
        }
        return nil
    }

    private enum Opening {
        case opened
        /// The trigger is missing or has expired, or Slack is busy; a new interaction may open the form.
        case later
        /// Slack rejected the form.
        case never
    }

    /// Opens a form with the trigger of the message that is replied to.
    /// - Parameter problem: the reason why the values in the form were rejected.
    private func open(_ form: Form, for address: Address, problem: String?) async throws -> Opening {
        guard let trigger = prompts.takeTrigger(address.inReplyTo) else { return .later }
        let channel: String? = if case .room(let id) = address.place { id } else { nil }
        let view = SlackView.view(
            of: form,
            SlackView.Origin(
                line: form.line, channel: channel, thread: address.thread, opener: address.inReplyTo),
            problem: problem)
        do {
            try await api.call("views.open", ["trigger_id": .string(trigger), "view": view])
            return .opened
        } catch let error as SlackError {
            logger.notice("Cannot open a form: \(error)")
            return error.code.hasSuffix("trigger_id") || error.remedy != .never ? .later : .never
        }
    }

    /// Reopens a form with rejected values for the user who pressed its button.
    func reopen(_ form: Form?, for interaction: SlackInteraction) async {
        let place: Address.Place = interaction.isDirect ? .direct(interaction.user) : .room(interaction.channel ?? "")
        let address = Address(
            backend: backend, place: place, thread: interaction.thread, inReplyTo: interaction.id)
        do {
            var text = "The entered values are no longer available; please open the form again."
            if let form {
                if case .opened = try await open(form, for: address, problem: nil) { return }
                text = "Slack did not open the form; please press the button again."
            }
            _ = try await say(Reply(text, kind: .error, isPrivate: true), to: address)
        } catch {
            logger.warning("Cannot reopen a form: \(error)")
        }
    }

    /// Sends a private notice about a message to its author. A failure is only logged.
    func tell(
        _ text: String, asking message: String, in channel: String, of person: String, isDirect: Bool, thread: String?
    ) async {
        let place: Address.Place = isDirect ? .direct(person) : .room(channel)
        let reply = Reply(text, kind: .error, isPrivate: true)
        do {
            _ = try await send(reply, to: Address(backend: backend, place: place, thread: thread, inReplyTo: message))
        } catch {
            logger.warning("Cannot notify a user that a message arrived too late: \(error)")
        }
    }

    /// Sends an ephemeral text to the user of a slash command or an interaction. A failure is only logged.
    func explain(_ text: String, at url: URL?) async {
        do {
            if let url {
                try await api.respond(
                    at: url,
                    [
                        "text": .string(Mrkdwn.escaped(text)), "response_type": "ephemeral", "replace_original": false,
                    ])
            }
        } catch {
            logger.warning("Cannot answer a slash command or an interaction: \(error)")
        }
    }

    /// Posts a message, or sends it to the user directly if a slash command or its form was used in a channel that the
    /// bot is not a member of.
    private func postOrWhisper(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        do {
            return try await post(reply, to: address)
        } catch let error as SlackError
            where ["not_in_channel", "channel_not_found"].contains(error.code)
            && address.inReplyTo.map(SlackInbox.isPrompt) == true
        {
            guard let person = address.inReplyTo.flatMap(SlackInbox.sender) else { throw error }
            return try await post(reply, to: Address(backend: backend, place: .direct(person)))
        }
    }

    private func post(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        if reply.kind == .acknowledgement, let emoji = settings.ackReaction, reply.extra.isEmpty,
            let message = address.inReplyTo.flatMap(SlackInbox.message), try await react(with: emoji, to: message)
        {
            return nil
        }
        var arguments = SlackContent.arguments(reply)
        arguments["channel"] = .string(try await id(of: address.place))
        arguments["thread_ts"] = address.thread.map { .string($0) }
        var method = "chat.postMessage"
        if let person = try Self.reader(of: reply, at: address) {
            method = "chat.postEphemeral"
            arguments["user"] = .string(person)
        }
        let answer = try await api.call(method, arguments)
        guard let channel = answer["channel"]?.string, let time = answer["ts"]?.string else { return nil }
        return MessageReference(id: "\(channel)/\(time)")
    }

    /// Uploads a file (https://docs.slack.dev/messaging/working-with-files#upload) in three steps: requests an upload
    /// URL, writes to it, and shares the file in the channel. Throws ``SendFailure``.
    func send(file title: String, _ reply: Reply, to address: Address) async throws -> MessageReference? {
        try await noting {
            var address = address
            if let person = try Self.reader(of: reply, at: address) {
                // Slack has no ephemeral files.
                address = Address(backend: backend, place: .direct(person))
            }
            let bytes = Array(reply.text.utf8)
            let place = try await api.call(
                "files.getUploadURLExternal", ["filename": .string(title), "length": .string("\(bytes.count)")])
            guard let url = place["upload_url"]?.string.flatMap({ URL(connectable: $0) }), let id = place["file_id"]
            else {
                throw SlackError("files.getUploadURLExternal", "unreadable", "no upload_url")
            }
            try await api.upload(bytes, to: url)
            var arguments: [String: JSONValue] = [
                "files": [["id": id, "title": .string(title)]], "channel_id": .string(try await channel(of: address)),
            ]
            try await inThread(of: address) { address in
                arguments["thread_ts"] = address.thread.map { .string($0) }
                try await api.call("files.completeUploadExternal", arguments)
            }
            return nil
        }
    }

    /// Returns the channel of an address; for a user, the direct message channel, because files can only be shared in
    /// channels.
    private func channel(of address: Address) async throws -> String {
        let person = try await id(of: address.place)
        guard address.place.isDirect, !person.hasPrefix("D") else { return person }
        let answer = try await api.call("conversations.open", ["users": .string(person)])
        guard let id = answer["channel"]?["id"]?.string else {
            throw SlackError("conversations.open", "unreadable", "no channel")
        }
        return id
    }
}

extension SlackSender {
    /// Replaces a sent message. Throws ``SendFailure``.
    /// - Parameter message: the channel and the timestamp, separated by a slash, as `C42/1700000000.000100`.
    func replace(_ message: MessageReference, with reply: Reply) async throws {
        let parts = message.id.utf8.split(separator: UInt8(ascii: "/")).compactMap { String($0) }
        guard parts.count == 2 else { throw SendFailure("“\(message.id)” is not a message", .never) }
        var arguments = SlackContent.arguments(reply)
        arguments["channel"] = .string(parts[0])
        arguments["ts"] = .string(parts[1])
        // Without the key, Slack keeps the old blocks.
        if arguments["blocks"] == nil { arguments["blocks"] = .array([]) }
        _ = try await noting {
            try await api.call("chat.update", arguments)
            return nil
        }
    }
}
