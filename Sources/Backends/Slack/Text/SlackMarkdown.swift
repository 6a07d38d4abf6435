import PetrelKit

extension MarkdownNotation {
    /// Slack's own (https://docs.slack.dev/messaging/formatting-message-text, "mrkdwn"). It knows no languages of fences,
    /// and would show their names.
    static let mrkdwn = MarkdownNotation(
        bold: "*", italic: "_", struck: "~", keepsLanguages: false, escape: { Mrkdwn.escaped($0) },
        link: { label, address in
            "<\(Mrkdwn.escaped(address).replacing("|", with: "%7C"))|\(Mrkdwn.escaped(label).replacing("|", with: "¦"))>"
        })
}
