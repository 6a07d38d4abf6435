import Foundation
import PetrelKit
import PetrelSupport

/// A slash command (https://docs.slack.dev/interactivity/implementing-slash-commands). `/st2 pack list` is equivalent
/// to `!st2 pack list`.
struct SlackCommand: Sendable, Equatable {
    /// The name with its slash, such as `/st2`.
    var name: String
    var channel: String
    var user: String
    /// The `trigger_id`, which identifies this invocation.
    var trigger: String
    /// The whole line, which starts with the name of the command without its slash.
    var text: SlackText
    var responseURL: URL?

    /// Returns nil if a required field is missing.
    init?(_ payload: JSONValue) {
        guard let command = payload["command"]?.string, command.hasPrefix("/"), command.count > 1,
            let user = payload["user_id"]?.string, let channel = payload["channel_id"]?.string
        else { return nil }
        name = command
        self.user = user
        self.channel = channel
        trigger = payload["trigger_id"]?.string ?? UUID().uuidString
        let rest = payload["text"]?.string ?? ""
        text = SlackText(command.dropFirst() + (rest.isEmpty ? "" : " \(rest)"))
        responseURL = payload["response_url"]?.string.flatMap { URL(connectable: $0) }
    }

    var isDirect: Bool { channel.hasPrefix("D") }

    var id: String { SlackInbox.id(channel, prompt: trigger, user) }
}
