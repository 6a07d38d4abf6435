import Foundation
package import Logging
import NIOCore
package import PetrelKit
package import PetrelSupport

/// A Slack backend that receives events through Socket Mode, if an app token is configured, and through HTTP requests,
/// if a signing secret is configured.
package final class SlackBackend: ChatBackend {
    /// The name of the configuration section, and the first component of the HTTP routes.
    package let name: String
    /// The abilities of Slack. A message holds at most 4,000 characters; the limit is lower because escaping lengthens
    /// some characters.
    package let traits: BackendTraits

    let settings: SlackSettings
    let logger: Logger
    private let loop: EventLoopExecutor
    private let api: SlackAPI
    private let names: SlackNames
    private let prompts = SlackPrompts()
    let sender: SlackSender
    private let storage = Locked<(any Storage)?>(nil)
    private let isMeant = Locked<@Sendable (inout ChatMessage) -> Bool> { _ in true }
    /// The queue of received envelopes; nil while the backend is not running.
    private let inlet = Locked<AsyncStream<SlackEnvelope>.Continuation?>(nil)
    /// The number of acknowledged envelopes that the inbox has not taken, and the inbox.
    private let pending = Locked((envelopes: 0, inbox: SlackInbox?.none))

    /// Creates a backend that is not yet connected.
    /// - Parameter loop: runs the API client, the WebSockets and the processing of envelopes.
    package init(
        name: String, settings: SlackSettings, on loop: EventLoopExecutor = EventLoopExecutor(), logger: Logger
    ) {
        self.loop = loop
        self.name = name
        self.settings = settings
        self.logger = logger
        traits = BackendTraits(
            markdown: true, mrkdwn: true, threads: true, privateReplies: true, edits: settings.hasBotToken,
            attachments: true, forms: true, files: settings.hasBotToken, mergesBursts: true, maximumLength: 3_000)
        api = SlackAPI(settings, on: loop)
        names = SlackNames(api, patience: settings.namePatience)
        sender = SlackSender(name, settings, api, names, prompts, on: loop, logger)
    }

    /// Connects, and delivers messages until the task is cancelled.
    ///
    /// Throws a final ``BackendFailure`` if Slack rejects a token, or if Socket Mode is disabled and no signing secret
    /// is configured.
    package func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {
        do {
            let identity = settings.hasBotToken ? try await identity() : nil
            let seen = await SeenMessages(storage.value, logger) { $0.drop { $0 != "/" } }
            let inbox = SlackInbox(
                identity, names, prompts, seen, settings, sender, on: loop, logger, now: { [api] in api.now },
                isMeant: isMeant.value
            ) {
                await deliver($0)
            }
            pending.withLock { $0.inbox = inbox }
            let listening = Task { if settings.hasBotToken { await self.noteSilence() } }
            defer { listening.cancel() }
            try await receive(inbox) { envelope in
                if envelope.isOfMessage { listening.cancel() }
                await inbox.take(envelope)
            }
        } catch let error as SlackError where error.isFinal {
            throw BackendFailure("Slack rejected the token: \(error)", isFinal: true)
        }
    }

    /// Asks Slack who the bot is, and logs which permissions it lacks.
    private func identity() async throws -> SlackIdentity {
        let (answer, scopes) = try await api.answer("auth.test")
        let identity = try SlackIdentity(answer)
        await names.know(identity)
        for advice in scopes.map({ SlackScopes.advice(granted: $0, reacts: settings.ackReaction != nil) }) ?? [] {
            logger.warning("\(advice)")
        }
        return identity
    }

    /// Logs a hint if no message event arrives: Slack has no method that lists the event subscriptions of an app.
    private func noteSilence() async {
        do {
            try await Task.sleep(for: settings.silence)
            logger.notice(
                """
                Slack has sent no events since startup. If users have written to the bot, add the bot events \
                app_mention, message.channels, message.groups, message.im and message.mpim at api.slack.com/apps under “Event \
                Subscriptions”, reinstall the app, and invite the bot to its channels.
                """)
        } catch {
            // Cancelled because an event arrived or the backend stops.
        }
    }

    /// The maximum number of queued envelopes. Further ones are not acknowledged, so Slack sends them again.
    private static let maximumPending = 10_000

    /// Processes envelopes in a task of its own, so that acknowledgements do not wait for it, and finishes all
    /// acknowledged envelopes before it returns.
    private func receive(
        _ inbox: SlackInbox, _ take: @escaping @Sendable (SlackEnvelope) async -> Void
    ) async throws {
        let (envelopes, inlet) = AsyncStream.makeStream(
            of: SlackEnvelope.self, bufferingPolicy: .bufferingOldest(Self.maximumPending))
        let work = Task(executorPreference: loop) {
            for await envelope in envelopes {
                await take(envelope)
                self.pending.withLock { $0.envelopes -= 1 }
            }
            await inbox.drain()
        }
        self.inlet.withLock { $0 = inlet }
        do {
            try await listenUntilRefused()
            await finish(inlet, work)
        } catch {
            await finish(inlet, work)
            throw error
        }
    }

    /// Listens until a call reports that the bot token is invalid: open sockets outlive the revocation of the token.
    private func listenUntilRefused() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                if self.settings.appToken != nil { try await self.listen() }
                // HTTP requests arrive without a listener here.
                await Signal().wait()
            }
            group.addTask {
                await self.sender.refused.wait()
                try Task.checkCancellation()
                throw BackendFailure("Slack no longer accepts the bot token; set a new one and restart.", isFinal: true)
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// Returns if Socket Mode was disabled and HTTP mode is configured as well.
    private func listen() async throws {
        do {
            try await SocketMode(api, settings, on: loop, logger).run { [self] in take($0) }
        } catch let failure as BackendFailure where failure.isFinal && settings.signingSecret != nil {
            logger.error("\(failure) HTTP requests from Slack are still accepted.")
        }
    }

    private func finish(_ inlet: AsyncStream<SlackEnvelope>.Continuation, _ work: Task<Void, Never>) async {
        self.inlet.withLock { $0 = nil }
        inlet.finish()
        await work.value
    }

    /// Queues an envelope. Returns false if the queue is full or the backend is not running.
    func take(_ envelope: SlackEnvelope) -> Bool {
        pending.withLock { $0.envelopes += 1 }
        if case .enqueued? = inlet.value?.yield(envelope) { return true }
        pending.withLock { $0.envelopes -= 1 }
        return false
    }

    /// Sends a reply as a message, an ephemeral message, an answer to a slash command, a reaction or a form. Throws
    /// ``SendFailure``.
    /// - Returns: the channel and the timestamp of the message; nil if Slack cannot update it.
    package func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        try await sender.send(reply, to: address)
    }
}

extension SlackBackend: WorkCounting {
    /// Returns the number of acknowledged envelopes that were not delivered.
    package func pendingWork() async -> Int {
        let (envelopes, inbox) = pending.value
        return envelopes + (await inbox?.pending ?? 0)
    }
}

extension SlackBackend: FileSending {
    /// Uploads the text of a reply as a file. A private reply goes to the direct message channel of its recipient.
    /// Throws ``SendFailure``.
    package func send(file title: String, _ reply: Reply, to address: Address) async throws -> MessageReference? {
        try await sender.send(file: title, reply, to: address)
    }
}

extension SlackBackend: ThreadNaming {
    /// Returns the timestamp of a message, which names its thread; nil for a slash command and an interaction.
    package func thread(below message: String) -> String? { SlackInbox.message(of: message)?.time }
}

extension SlackBackend: Editing {
    /// Replaces a sent message with `chat.update`. Throws ``SendFailure``.
    package func replace(_ message: MessageReference, at address: Address, with reply: Reply) async throws {
        try await sender.replace(message, with: reply)
    }
}

extension SlackBackend: Selecting {
    /// Sets the filter that is applied to messages before their names are looked up.
    package func select(_ isMeant: @escaping @Sendable (inout ChatMessage) -> Bool) {
        self.isMeant.withLock { $0 = isMeant }
    }
}

extension SlackBackend: RecordKeeping {
    /// Sets the storage for the keys of processed messages, which prevents repeated execution after a restart.
    package func keep(in storage: any Storage) { self.storage.withLock { $0 = storage } }
}

extension SlackBackend: PlaceNaming {
    /// Classifies a name by the prefixes of Slack's IDs: `U…` and `W…` are users, and a message to one goes to the
    /// direct message channel; `C…`, `G…` and `D…` are channels.
    package func claim(_ name: String) -> PlaceClaim {
        let bytes = name.utf8
        let isID =
            bytes.count > 1 && bytes.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) }
        switch bytes.first {
        case UInt8(ascii: "U") where isID, UInt8(ascii: "W") where isID: return .own(.direct(name))
        case UInt8(ascii: "C") where isID, UInt8(ascii: "D") where isID, UInt8(ascii: "G") where isID:
            return .own(.room(name))
        case UInt8(ascii: "@"): return .possible(.direct(name))
        // The address of an XMPP account or room.
        case _ where bytes.contains(UInt8(ascii: "@")): return .foreign
        default: return .possible(.room(name))
        }
    }
}

/// The identity of the bot in its workspace.
struct SlackIdentity: Sendable {
    var user: String
    var team: String?
    var enterprise: String?

    /// - Parameter answer: the response of `auth.test`.
    init(_ answer: JSONValue) throws {
        guard let user = answer["user_id"]?.string else { throw SlackError("auth.test", "unreadable", "no user_id") }
        self.user = user
        team = answer["team_id"]?.string
        enterprise = answer["enterprise_id"]?.string
    }

    /// Returns true if a user belongs to the same workspace or organisation. Users of other workspaces participate
    /// through Slack Connect, and their names may be equal to those of local users.
    /// - Parameter user: a user object as returned by `users.info`.
    func isOurs(_ user: JSONValue) -> Bool {
        guard let team, let theirs = user["team_id"]?.string, theirs != team else {
            return user["is_stranger"]?.bool != true
        }
        return enterprise != nil && user["enterprise_user"]?["enterprise_id"]?.string == enterprise
    }
}
