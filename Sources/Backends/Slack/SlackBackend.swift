import Foundation
package import Logging
import NIOCore
package import PetrelKit
package import PetrelSupport

/// Chat on Slack: through Socket Mode where there is an app token, by requests where there is a signing secret.
package final class SlackBackend: ChatBackend {
    package let name: String
    /// A message of Slack's takes 4,000 characters; escaping makes some of them longer.
    package let traits = BackendTraits(
        markdown: true, mrkdwn: true, threads: true, privateReplies: true, edits: true, attachments: true, forms: true,
        files: true, mergesBursts: true, maximumLength: 3_000)

    let settings: SlackSettings
    private let logger: Logger
    private let loop: EventLoopExecutor
    private let api: SlackAPI
    private let names: SlackNames
    private let prompts = SlackPrompts()
    private let sender: SlackSender
    private let storage = Locked<(any Storage)?>(nil)
    private let isMeant = Locked<@Sendable (ChatMessage) -> Bool> { _ in true }
    /// Where what Slack sends goes while the backend runs.
    private let inlet = Locked<AsyncStream<SlackEnvelope>.Continuation?>(nil)

    package init(
        name: String, settings: SlackSettings, on loop: EventLoopExecutor = EventLoopExecutor(), logger: Logger
    ) {
        self.loop = loop
        self.name = name
        self.settings = settings
        self.logger = logger
        api = SlackAPI(settings, on: loop)
        names = SlackNames(api, patience: settings.namePatience)
        sender = SlackSender(name, settings, api, names, prompts, on: loop, logger)
    }

    package func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {
        do {
            let (answer, scopes) = try await api.answer("auth.test")
            let identity = try SlackIdentity(answer)
            await names.know(identity)
            for advice in scopes.map({ SlackScopes.advice(granted: $0, reacts: settings.ackReaction != nil) }) ?? [] {
                logger.warning("\(advice)")
            }
            let seen = await SeenMessages(storage.value, logger) { $0.drop { $0 != "/" } }
            let inbox = SlackInbox(
                identity, names, prompts, seen, settings, sender, on: loop, logger, now: { [api] in api.now },
                isMeant: isMeant.value
            ) {
                await deliver($0)
            }
            let listening = Task { await self.noteSilence() }
            defer { listening.cancel() }
            try await receive(inbox) { envelope in
                if envelope.isOfMessage { listening.cancel() }
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
                app_mention, message.channels, message.groups, message.im and message.mpim at api.slack.com/apps under “Event \
                Subscriptions”, reinstall the app, and invite the bot to its channels.
                """)
        } catch {
            // An event came, or the backend ends.
        }
    }

    /// So many envelopes may wait; what comes then is not acknowledged, so that Slack sends it again.
    private static let ahead = 10_000

    /// What was acknowledged is worked off beside reading, and to its end: an acknowledgement waits for nothing.
    private func receive(
        _ inbox: SlackInbox, _ take: @escaping @Sendable (SlackEnvelope) async -> Void
    ) async throws {
        let (envelopes, inlet) = AsyncStream.makeStream(
            of: SlackEnvelope.self, bufferingPolicy: .bufferingOldest(Self.ahead))
        let work = Task(executorPreference: loop) {
            for await envelope in envelopes { await take(envelope) }
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

    /// What was sent may show that the token is none any more, while sockets live on.
    private func listenUntilRefused() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                if self.settings.appToken != nil { try await self.listen() }
                // Requests come by themselves.
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

    /// Returns where Socket Mode was switched off, and requests come besides.
    private func listen() async throws {
        do {
            try await SocketMode(api, settings, on: loop, logger).run { [self] in take($0) }
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

    package func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        try await sender.send(reply, to: address)
    }
}

extension SlackBackend: FileSending {
    package func send(file title: String, _ reply: Reply, to address: Address) async throws -> MessageReference? {
        try await sender.send(file: title, reply, to: address)
    }
}

extension SlackBackend: Editing {
    package func replace(_ handle: String, with reply: Reply) { sender.replace(handle, with: reply) }
}

extension SlackBackend: Selecting {
    package func select(_ isMeant: @escaping @Sendable (ChatMessage) -> Bool) { self.isMeant.withLock { $0 = isMeant } }
}

extension SlackBackend: RecordKeeping {
    package func keep(in storage: any Storage) { self.storage.withLock { $0 = storage } }
}

extension SlackBackend: PlaceNaming {
    /// `U…` and `W…` are people (and a message to them goes to the direct chat), `C…`, `G…` and `D…` channels.
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
