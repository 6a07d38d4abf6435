import Foundation
import PetrelKit

/// What a reply is in the words of `chat.postMessage`.
enum SlackContent {
    /// `text`, and what StackStorm's `extra.slack` adds: `blocks` (Block Kit), `attachments`, or the keys of one
    /// attachment, into which the text goes then
    /// (https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments).
    static func arguments(_ reply: Reply) -> [String: JSONValue] {
        let text = text(of: reply)
        var arguments: [String: JSONValue] = ["text": .string(text)]
        if reply.isConfidential {
            arguments["unfurl_links"] = false
            arguments["unfurl_media"] = false
        }
        guard let extra = reply.extra["slack"]?.object, !extra.isEmpty else { return arguments }
        if let blocks = extra["blocks"] { arguments["blocks"] = blocks }
        if let attachments = extra["attachments"] { arguments["attachments"] = attachments }
        guard extra["blocks"] == nil, extra["attachments"] == nil else { return arguments }
        var attachment: [String: JSONValue] = [
            "text": .string(text), "fallback": .string(text), "mrkdwn_in": ["text", "pretext", "fields"],
        ]
        attachment.merge(extra) { _, new in new }
        arguments["attachments"] = [.object(attachment)]
        // It would be shown twice.
        arguments["text"] = nil
        return arguments
    }

    static func text(of reply: Reply) -> String {
        let text = reply.text.trimmingCharacters(in: .newlines)
        return reply.style == .markdown ? SlackMarkdown.mrkdwn(text) : SlackEscapes.encode(text)
    }
}
