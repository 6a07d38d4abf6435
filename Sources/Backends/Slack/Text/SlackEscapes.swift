import PetrelKit
import PetrelSupport

/// The text of Slack's messages (https://docs.slack.dev/messaging/formatting-message-text).
enum SlackEscapes {
    struct Decoded: Equatable {
        var text: String
        var unnamed: Set<String> = []
    }

    /// - Parameter names: of people and channels, by their ids, as far as they are known.
    static func decode(_ raw: String, names: (String) -> String?) -> Decoded {
        let text = SlackText(raw)
        return Decoded(text: text.typed(names: names), unnamed: Set(text.unnamed.filter { names($0) == nil }))
    }

    /// What Slack shows as it stands.
    static func encode(_ text: some StringProtocol) -> String { Mrkdwn.escaped(text) }
}
