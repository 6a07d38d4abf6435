import Foundation
public import Logging
import NIOCore
public import PetrelKit
import PetrelLoop

/// Chat on Slack: through Socket Mode where there is an app token, by requests where there is a signing secret.
public final class SlackBackend: ChatBackend {
    public let name: String
    /// A message of Slack's takes 4,000 characters; escaping makes some of them longer.
    public let traits = BackendTraits(
        markdown: true, threads: true, privateReplies: true, edits: true, attachments: true, forms: true,
        mergesBursts: true,
        maximumLength: 3_000)

    let settings: SlackSettings
    private let logger: Logger
    private let api: SlackAPI
    private let names: SlackNames
    private let prompts = SlackPrompts()
    private let edits = SlackEdits()
    private let storage = Locked<(any Storage)?>(nil)
    private let isMeant = Locked<@Sendable (ChatMessage) -> Bool> { _ in true }
    /// Where what Slack sends goes while the backend runs.
    private let inlet = Locked<AsyncStream<SlackEnvelope>.Continuation?>(nil)

    public init(name: String, settings: SlackSettings, logger: Logger) {
        self.name = name
        self.settings = settings
        self.logger = logger
        api = SlackAPI(settings)
        names = SlackNames(api)
    }

    public func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {
        do {
            let (answer, scopes) = try await api.answer("auth.test")
            let identity = try SlackIdentity(answer)
            await names.know(identity)
            for advice in scopes.map({ SlackScopes.advice(granted: $0, reacts: settings.ackReaction != nil) }) ?? [] {
                logger.warning("\(advice)")
            }
            let seen = await SlackSeen(storage.value, logger)
            let inbox = SlackInbox(identity, names, prompts, seen, settings, logger, isMeant: isMeant.value) {
                await deliver($0)
            }
            let listening = Task { await self.noteSilence() }
            defer { listening.cancel() }
            try await receive { envelope in
                if case .event = envelope { listening.cancel() }
                await inbox.take(envelope)
            }
        } catch let error as SlackError where error.isFinal {
            throw BackendFailure("Slack refuses the token: \(error)", isFinal: true)
        }
    }

    /// Slack tells nobody which events an app has subscribed to: it shows only in that none come.
    private func noteSilence() async {
        do {
            try await Task.sleep(for: settings.silence)
            logger.notice(
                """
                Slack has sent no event since the start. If people have written to the bot meanwhile: add the bot events \
                app_mention, message.channels, message.groups and message.im at api.slack.com/apps under “Event \
                Subscriptions”, reinstall the app, and invite the bot to its channels.
                """)
        } catch {
            // An event came, or the backend ends.
        }
    }

    /// So many envelopes may wait; what comes then is not acknowledged, so that Slack sends it again.
    private static let ahead = 10_000

    /// What was acknowledged is worked off beside reading, and to its end: an acknowledgement waits for nothing.
    private func receive(_ take: @escaping @Sendable (SlackEnvelope) async -> Void) async throws {
        let (envelopes, inlet) = AsyncStream.makeStream(
            of: SlackEnvelope.self, bufferingPolicy: .bufferingOldest(Self.ahead))
        let work = Task(executorPreference: ChatLoop.shared) {
            for await envelope in envelopes { await take(envelope) }
        }
        self.inlet.withLock { $0 = inlet }
        do {
            if settings.appToken != nil { try await listen() }
            // Requests come by themselves.
            await Signal().wait()
            await finish(inlet, work)
        } catch {
            await finish(inlet, work)
            throw error
        }
    }

    /// Returns where Socket Mode was switched off, and requests come besides.
    private func listen() async throws {
        do {
            try await SocketMode(api, settings, logger).run { [self] in take($0) }
        } catch let failure as BackendFailure where failure.isFinal && settings.signingSecret != nil {
            logger.error("\(failure) Requests of Slack's are taken still.")
        }
    }

    private func finish(_ inlet: AsyncStream<SlackEnvelope>.Continuation, _ work: Task<Void, Never>) async {
        self.inlet.withLock { $0 = nil }
        inlet.finish()
        await work.value
    }

    /// False while the backend takes nothing.
    func take(_ envelope: SlackEnvelope) -> Bool {
        if case .enqueued? = inlet.value?.yield(envelope) { true } else { false }
    }

    public func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        do {
            var reply = reply
            // What nobody has asked for opens no form in their face.
            if let form = reply.form, reply.kind == .answer {
                switch try await open(form, for: address) {
                case .opened: return nil
                case .later: break
                case .never:
                    reply.form = nil
                    reply.text += "\n\(form)\nSlack does not take this as a form; please type it."
                }
            }
            guard !reply.text.isEmpty || reply.extra["slack"] != nil else { return nil }
            let isPrivate = Self.isPersonal(reply, address)
            if let (url, isPrivate) = prompts.takeURL(address.inReplyTo, isPrivate: isPrivate) {
                do {
                    return try await respond(reply, at: url, isPrivate, address)
                } catch let error as SlackError where error.code == SlackError.expiredAddress {
                    address.inReplyTo.map(prompts.drop)
                }
            }
            return try await postOrWhisper(reply, to: address)
        } catch let error as SlackError {
            throw SendFailure("\(error)", error.remedy)
        }
    }

    private func react(
        with emoji: String, to message: (channel: String, time: String)
    ) async throws -> MessageReference? {
        do {
            try await api.call(
                "reactions.add",
                [
                    "channel": .string(message.channel), "timestamp": .string(message.time), "name": .string(emoji),
                ])
        } catch let error as SlackError where error.code == "already_reacted" {
            // It was sent, and the answer lost.
        }
        return nil
    }

    /// A channel may be called by its name: in StackStorm's rules, and in `bot.admin_rooms`.
    private func id(of place: Address.Place) async throws -> String {
        switch place {
        case .room(let name) where name.hasPrefix("#"):
            guard let id = try await names.channel(named: String(name.dropFirst())) else {
                throw SendFailure("no channel that the bot can see is called \(name): invite it there", .never)
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

    private func open(_ form: Form, for address: Address) async throws -> Opening {
        guard let trigger = prompts.takeTrigger(address.inReplyTo) else { return .later }
        let channel: String? = if case .room(let id) = address.place { id } else { nil }
        let view = SlackView.view(
            of: form,
            SlackView.Origin(
                line: form.line, channel: channel, thread: address.thread, opener: address.inReplyTo))
        do {
            try await api.call("views.open", ["trigger_id": .string(trigger), "view": view])
            return .opened
        } catch let error as SlackError {
            logger.notice("A form could not be opened: \(error)")
            return error.code.hasSuffix("trigger_id") || error.remedy != .never ? .later : .never
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
            return try await post(reply, to: Address(backend: name, place: .direct(person)))
        }
    }

    private func post(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        if reply.kind == .acknowledgement, let emoji = settings.ackReaction, reply.extra.isEmpty,
            let message = address.inReplyTo.flatMap(SlackInbox.message)
        {
            return try await react(with: emoji, to: message)
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
}

extension SlackBackend: FileSending {
    /// Slack's external upload (https://docs.slack.dev/messaging/working-with-files#upload): an address is asked for,
    /// written to, and then shown in its place.
    public func send(file title: String, _ reply: Reply, to address: Address) async throws -> MessageReference? {
        do {
            var address = address
            if let person = try Self.reader(of: reply, at: address) {
                // A file cannot be shown to one person in a channel.
                address = Address(backend: name, place: .direct(person))
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
        } catch let error as SlackError {
            throw SendFailure("\(error)", error.remedy)
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

extension SlackBackend: Editing {
    public func replace(_ handle: String, with reply: Reply) { edits.replace(handle, with: reply, show: show) }

    private func show(_ reply: Reply, channel: String, time: String) async throws {
        var arguments = SlackContent.arguments(reply)
        arguments["channel"] = .string(channel)
        arguments["ts"] = .string(time)
        // Else Slack keeps the old ones.
        if arguments["blocks"] == nil { arguments["blocks"] = .array([]) }
        try await api.call("chat.update", arguments)
    }
}

extension SlackBackend: Selecting {
    public func select(_ isMeant: @escaping @Sendable (ChatMessage) -> Bool) { self.isMeant.withLock { $0 = isMeant } }
}

extension SlackBackend: RecordKeeping {
    public func keep(in storage: any Storage) { self.storage.withLock { $0 = storage } }
}

extension SlackBackend: PlaceNaming {
    /// `U…` and `W…` are people (and a message to them goes to the direct chat), `C…`, `G…` and `D…` channels.
    public func place(named name: String) -> Address.Place? {
        switch name.first {
        case "U", "W": .direct(name)
        case "@": .direct(name)
        default: .room(name)
        }
    }
}

/// Who the bot is in its workspace.
struct SlackIdentity: Sendable {
    var user: String
    var team: String?
    var enterprise: String?

    /// - Parameter answer: of `auth.test`.
    init(_ answer: JSONValue) throws {
        guard let user = answer["user_id"]?.string else { throw SlackError("auth.test", "unreadable", "no user_id") }
        self.user = user
        team = answer["team_id"]?.string
        enterprise = answer["enterprise_id"]?.string
    }

    /// Whether a person, as `users.info` tells, belongs to the same workspace or organisation. People of others come
    /// through Slack Connect, and may be called as anybody.
    func isOurs(_ user: JSONValue) -> Bool {
        guard let team, let theirs = user["team_id"]?.string, theirs != team else {
            return user["is_stranger"]?.bool != true
        }
        return enterprise != nil && user["enterprise_user"]?["enterprise_id"]?.string == enterprise
    }
}
