import PetrelKit

extension MarkdownNotation {
    /// Slack's own (https://docs.slack.dev/messaging/formatting-message-text, "mrkdwn"). It knows no languages of fences,
    /// and would show their names.
    static let mrkdwn = MarkdownNotation(
        bold: "*", italic: "_", struck: "~", keepsLanguages: false, escape: { SlackEscapes.encode($0) },
        link: { label, address in
            "<\(SlackEscapes.encode(address))|\(SlackEscapes.encode(label).replacing("|", with: "¦"))>"
        })
}
