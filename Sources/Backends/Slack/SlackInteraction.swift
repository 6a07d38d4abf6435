import Foundation
import PetrelKit
import PetrelSupport

/// A pressed button, a submitted form or a shortcut (https://docs.slack.dev/reference/interaction-payloads). Each is
/// equivalent to a command line that the user typed.
struct SlackInteraction: Sendable, Equatable {
    var user: String
    /// The ID of the channel; nil for a global shortcut.
    var channel: String?
    var thread: String?
    /// The `trigger_id`, which identifies the interaction and can open a form.
    var trigger: String
    /// The message ID of the command or interaction that opened the submitted form.
    var opener: String?
    var responseURL: URL?
    /// The command line, without the prefix.
    var line: String
    /// The values of a submitted form.
    var values: [String: String]?

    /// Returns nil for interactions that do not belong to the bot.
    /// - Parameter shortcuts: the command lines of shortcuts, by callback ID.
    init?(_ payload: JSONValue, shortcuts: [String: String]) {
        guard let user = payload["user"]?["id"]?.string,
            let trigger = payload["trigger_id"]?.string ?? payload["view"]?["hash"]?.string
        else { return nil }
        self.user = user
        self.trigger = trigger
        responseURL = payload["response_url"]?.string.flatMap { URL(connectable: $0) }
        switch payload["type"]?.string {
        case "block_actions":
            guard let action = payload["actions"]?.array?.first,
                action["action_id"]?.string?.hasPrefix(SlackContent.buttonPrefix) == true,
                let line = action["value"]?.string, let channel = payload["channel"]?["id"]?.string
            else { return nil }
            self.line = line
            self.channel = channel
            thread = payload["message"]?["thread_ts"]?.string ?? payload["container"]?["thread_ts"]?.string
        case "view_submission":
            guard let view = payload["view"], view["callback_id"]?.string == SlackView.callback,
                let origin = view["private_metadata"]?.string.flatMap(SlackView.Origin.init)
            else { return nil }
            line = origin.line
            channel = origin.channel
            thread = origin.thread
            opener = origin.opener
            values = SlackView.values(of: view)
        case "shortcut", "message_action":
            guard let line = payload["callback_id"]?.string.flatMap({ shortcuts[$0] }) else { return nil }
            self.line = line
            channel = payload["channel"]?["id"]?.string
            thread = payload["message"]?["thread_ts"]?.string
        default: return nil
        }
    }

    var isDirect: Bool { channel?.hasPrefix("D") ?? true }

    var id: String { SlackInbox.id(channel ?? user, prompt: trigger, user) }
}
