import Foundation
import PetrelKit
import PetrelSupport

/// A slash command (https://docs.slack.dev/interactivity/implementing-slash-commands): `/st2 pack list` is what
/// `!st2 pack list` is.
struct SlackCommand: Sendable, Equatable {
    /// With its slash.
    var name: String
    var channel: String
    var user: String
    /// Names this call of it.
    var trigger: String
    /// Taken apart, with the name of the command in front, without its slash.
    var text: SlackText
    var responseURL: URL?

    /// Nil where something is missing.
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
        responseURL = payload["response_url"]?.string.flatMap { URL(string: $0) }
    }

    var isDirect: Bool { channel.hasPrefix("D") }

    var id: String { SlackInbox.id(channel, prompt: trigger, user) }
}
