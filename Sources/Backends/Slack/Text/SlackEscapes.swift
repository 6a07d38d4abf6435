import PetrelKit
import PetrelSupport

/// Decodes and encodes the text of messages (https://docs.slack.dev/messaging/formatting-message-text).
enum SlackEscapes {
    struct Decoded: Equatable {
        var text: String
        /// The IDs of mentioned users and channels without a known name.
        var unnamed: Set<String> = []
    }

    /// Returns the text as the user typed it.
    /// - Parameter names: returns the name for an ID of a user or a channel; nil if it is unknown.
    static func decode(_ raw: String, names: (String) -> String?) -> Decoded {
        let text = SlackText(raw)
        return Decoded(text: text.typed(names: names), unnamed: Set(text.unnamed.filter { names($0) == nil }))
    }

    /// Escapes a text so that Slack displays it literally.
    static func encode(_ text: some StringProtocol) -> String { Mrkdwn.escaped(text) }
}
