import Foundation
import Logging
import PetrelKit
import PetrelSupport

/// Says things on Slack: as a message, for one person only, at the address that came with a slash command, as an
/// emoji, as a form, or as a file.
final class SlackSender: Sendable {
    /// Slack refuses the token: nothing can be said any more.
    let refused = Signal()

    private let backend: String
    private let settings: SlackSettings
    private let api: SlackAPI
    private let names: SlackNames
    private let prompts: SlackPrompts
    private let edits: SlackEdits
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
        edits = SlackEdits(on: loop)
        self.logger = logger
    }

    /// Throws ``SendFailure``.
    func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        try await noting {
            var reply = reply
            // What nobody has asked for opens no form in their face.
            if let form = reply.form, [.answer, .error].contains(reply.kind) {
                switch try await open(form, for: address, problem: reply.kind == .error ? reply.text : nil) {
                case .opened: return nil
                case .later where reply.kind == .error:
                    // What was filled in waits behind the button.
                    reply.form = nil
                    reply.buttons.append(Button("\(form.submit)…", line: prompts.keep(form), style: .primary))
                case .later: break
                case .never:
                    reply.form = nil
                    let shown = reply.style == .markdown ? Markdown.escaped("\(form)") : "\(form)"
                    reply.text += "\n\(shown)\nSlack does not take this as a form; please type it."
                }
            }
            guard !reply.text.isEmpty || reply.extra["slack"] != nil else { return nil }
            do {
                return try await say(reply, to: address)
            } catch let error as SlackError where error.isAboutContent && reply.extra["slack"] != nil {
                // Whoever wrote the alias made a mistake; whoever ran it still reads the text.
                logger.warning("Slack does not take extra.slack, and only the text was sent: \(error)")
                reply.extra["slack"] = nil
                if reply.text.isEmpty { reply.text = "(Slack does not take what this was to show: \(error.code).)" }
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
        if let (url, isPrivate) = prompts.takeURL(address.inReplyTo, isPrivate: Self.isPersonal(reply, address)) {
            do {
                return try await respond(reply, at: url, isPrivate, address)
            } catch let error as SlackError where error.code == SlackError.expiredAddress {
                address.inReplyTo.map(prompts.drop)
            }
        }
        return try await postOrWhisper(reply, to: address)
    }

    /// False where Slack does not take it, such as an emoji that there is none of.
    private func react(with emoji: String, to message: (channel: String, time: String)) async throws -> Bool {
        do {
            try await api.call(
                "reactions.add",
                [
                    "channel": .string(message.channel), "timestamp": .string(message.time), "name": .string(emoji),
                ])
        } catch let error as SlackError where error.code == "already_reacted" {
            // It was sent, and the answer lost.
        } catch let error as SlackError where error.remedy == .never {
            logger.warning("ack_reaction \(emoji) cannot be shown, and the words are said: \(error)")
            return false
        }
        return true
    }

    /// A channel may be called by its name: in StackStorm's rules, and in `bot.admin_rooms`.
    private func id(of place: Address.Place) async throws -> String {
        switch place {
        case .room(let name) where name.hasPrefix("#"):
            guard let id = try await names.channel(named: String(name.dropFirst())) else {
                throw SendFailure("the bot is in no channel that is called \(name): invite it there", .never)
            }
            return id
        case .direct(let name) where name.hasPrefix("@"):
            guard let id = try await names.person(named: String(name.dropFirst())) else {
                throw SendFailure("nobody in the workspace is called \(name)", .never)
            }
            return id
        case .room(let id), .direct(let id): return id
        }
    }

    /// What went wrong with a slash command, a button or a form, which nobody else saw, is for who used it.
    private static func isPersonal(_ reply: Reply, _ address: Address) -> Bool {
        reply.isPrivate || reply.isConfidential
            || reply.kind == .error && address.inReplyTo.map(SlackInbox.isPrompt) == true
    }

    /// The one person in a room who may read it; nil where everybody may.
    private static func reader(of reply: Reply, at address: Address) throws -> String? {
        guard isPersonal(reply, address), case .room = address.place else { return nil }
        guard let person = address.inReplyTo.flatMap(SlackInbox.sender) else {
            throw SendFailure("it is for one person, and nobody knows for whom", .never)
        }
        return person
    }

    /// Answers a slash command, or who pressed a button: in a channel too that the bot is not in.
    private func respond(
        _ reply: Reply, at url: URL, _ isPrivate: Bool, _ address: Address
    ) async throws -> MessageReference? {
        var arguments = SlackContent.arguments(reply)
        arguments["response_type"] = isPrivate ? "ephemeral" : "in_channel"
        arguments["replace_original"] = false
        arguments["thread_ts"] = address.thread.map { .string($0) }
        try await api.respond(at: url, arguments)
        return nil
    }

    private enum Opening {
        case opened
        /// Slack allows it only just after the person did something.
        case later
        /// Not this form.
        case never
    }

    /// - Parameter problem: what was wrong with the answers that are in it.
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
            logger.notice("A form could not be opened: \(error)")
            return error.code.hasSuffix("trigger_id") || error.remedy != .never ? .later : .never
        }
    }

    /// Shows what is to be corrected to whoever pressed the button below what was wrong.
    func reopen(_ form: Form?, for interaction: SlackInteraction) async {
        let place: Address.Place = interaction.isDirect ? .direct(interaction.user) : .room(interaction.channel ?? "")
        let address = Address(
            backend: backend, place: place, thread: interaction.thread, inReplyTo: interaction.id)
        do {
            var text = "I do not have what was filled in any more; please ask for the form again."
            if let form {
                if case .opened = try await open(form, for: address, problem: nil) { return }
                text = "Slack did not open the form; please press once more."
            }
            _ = try await say(Reply(text, kind: .error, isPrivate: true), to: address)
        } catch {
            logger.warning("A form could not be opened again: \(error)")
        }
    }

    /// Tells a person something about what they wrote. It is lost where Slack does not take it.
    func tell(
        _ text: String, asking message: String, in channel: String, of person: String, isDirect: Bool, thread: String?
    ) async {
        let place: Address.Place = isDirect ? .direct(person) : .room(channel)
        let reply = Reply(text, kind: .error, isPrivate: true)
        do {
            _ = try await send(reply, to: Address(backend: backend, place: place, thread: thread, inReplyTo: message))
        } catch {
            logger.warning("It could not be told that a message came too late: \(error)")
        }
    }

    /// Says something to whoever used a slash command.
    func explain(_ text: String, at url: URL?) async {
        do {
            if let url {
                try await api.respond(at: url, ["text": .string(Mrkdwn.escaped(text)), "response_type": "ephemeral"])
            }
        } catch {
            logger.warning("A slash command could not be answered: \(error)")
        }
    }

    /// A slash command and its form work in channels too that the bot is not in; what cannot be said there is said to
    /// the person.
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
        if let handle = reply.handle, let channel = answer["channel"]?.string, let time = answer["ts"]?.string {
            edits.remember(handle, channel: channel, time: time, show: show)
        }
        return answer["ts"]?.string.map { MessageReference(id: $0) }
    }

    /// Slack's external upload (https://docs.slack.dev/messaging/working-with-files#upload): an address is asked for,
    /// written to, and then shown in its place.
    func send(file title: String, _ reply: Reply, to address: Address) async throws -> MessageReference? {
        try await noting {
            var address = address
            if let person = try Self.reader(of: reply, at: address) {
                // A file cannot be shown to one person in a channel.
                address = Address(backend: backend, place: .direct(person))
            }
            let bytes = Array(reply.text.utf8)
            let place = try await api.call(
                "files.getUploadURLExternal", ["filename": .string(title), "length": .string("\(bytes.count)")])
            guard let url = place["upload_url"]?.string.flatMap({ URL(string: $0) }), let id = place["file_id"] else {
                throw SlackError("files.getUploadURLExternal", "unreadable", "no upload_url")
            }
            try await api.upload(bytes, to: url)
            var arguments: [String: JSONValue] = [
                "files": [["id": id, "title": .string(title)]], "channel_id": .string(try await channel(of: address)),
            ]
            arguments["thread_ts"] = address.thread.map { .string($0) }
            try await api.call("files.completeUploadExternal", arguments)
            return nil
        }
    }

    /// Files go to channels only: of a person, to the direct chat.
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
    func replace(_ handle: String, with reply: Reply) { edits.replace(handle, with: reply, show: show) }

    private func show(_ reply: Reply, channel: String, time: String) async throws {
        var arguments = SlackContent.arguments(reply)
        arguments["channel"] = .string(channel)
        arguments["ts"] = .string(time)
        // Else Slack keeps the old ones.
        if arguments["blocks"] == nil { arguments["blocks"] = .array([]) }
        try await api.call("chat.update", arguments)
    }
}
