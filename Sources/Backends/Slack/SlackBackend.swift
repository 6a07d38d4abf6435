import Foundation
public import Logging
import NIOCore
public import PetrelKit
import PetrelLoop

/// Chat on Slack, through Socket Mode.
public final class SlackBackend: ChatBackend {
    public let name: String
    /// A message of Slack's takes 4,000 characters; escaping makes some of them longer.
    public let traits = BackendTraits(
        markdown: true, threads: true, privateReplies: true, edits: true, attachments: true, maximumLength: 3_000)

    private let settings: SlackSettings
    private let logger: Logger
    private let api: SlackAPI
    private let names: SlackNames
    private let responses = ResponseURLs()

    public init(name: String, settings: SlackSettings, logger: Logger) {
        self.name = name
        self.settings = settings
        self.logger = logger
        api = SlackAPI(settings)
        names = SlackNames(api)
    }

    public func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {
        do {
            let identity = try await SlackIdentity(api)
            let inbox = SlackInbox(identity, names, responses, logger) { await deliver($0) }
            try await SocketMode(api, logger).run { await inbox.take($0) }
        } catch let error as SlackError where error.isFinal {
            throw BackendFailure("Slack refuses the token: \(error)", isFinal: true)
        }
    }

    public func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        do {
            if reply.kind != .result, let url = responses.take(address.inReplyTo) {
                return try await respond(reply, at: url)
            }
            return try await post(reply, to: address)
        } catch let error as SlackError {
            throw SendFailure("\(error)", error.remedy)
        }
    }

    /// Answers a slash command: to a channel too that the bot is not in.
    private func respond(_ reply: Reply, at url: URL) async throws -> MessageReference? {
        let isPrivate = reply.isPrivate || reply.isConfidential || reply.kind == .error
        try await api.respond(
            at: url,
            [
                "text": .string(Self.text(of: reply)), "response_type": isPrivate ? "ephemeral" : "in_channel",
                "unfurl_links": .bool(!reply.isConfidential),
            ])
        return nil
    }

    private func post(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        var arguments: [String: JSONValue] = [
            "channel": .string(address.place.id), "text": .string(Self.text(of: reply)),
        ]
        arguments["thread_ts"] = address.thread.map { .string($0) }
        if reply.isConfidential {
            arguments["unfurl_links"] = false
            arguments["unfurl_media"] = false
        }
        var method = "chat.postMessage"
        if reply.isPrivate, case .room = address.place, let person = address.inReplyTo.flatMap(SlackInbox.sender) {
            method = "chat.postEphemeral"
            arguments["user"] = .string(person)
        }
        let answer = try await api.call(method, arguments)
        return answer["ts"]?.string.map { MessageReference(id: $0) }
    }

    static func text(of reply: Reply) -> String {
        reply.style == .markdown ? SlackMarkdown.mrkdwn(reply.text) : SlackEscapes.encode(reply.text)
    }
}

extension SlackBackend: PlaceNaming {
    /// `U…` and `W…` are people (and a message to them goes to the direct chat), `C…`, `G…` and `D…` channels.
    public func place(named name: String) -> Address.Place? {
        switch name.first {
        case "U", "W": .direct(name)
        case "@": .direct(String(name.dropFirst()))
        default: .room(name)
        }
    }
}

/// Who the bot is in its workspace.
struct SlackIdentity: Sendable {
    var user: String
    var bot: String?

    init(user: String, bot: String?) {
        self.user = user
        self.bot = bot
    }

    init(_ api: SlackAPI) async throws {
        let answer = try await api.call("auth.test")
        guard let user = answer["user_id"]?.string else { throw SlackError("auth.test", "unreadable", "no user_id") }
        self.init(user: user, bot: answer["bot_id"]?.string)
    }
}
