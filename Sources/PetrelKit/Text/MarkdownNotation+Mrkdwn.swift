extension MarkdownNotation {
    /// Slack's notation "mrkdwn" (https://docs.slack.dev/messaging/formatting-message-text). It does not support the
    /// languages of fences, and would display their names.
    public static let mrkdwn = MarkdownNotation(
        bold: "*", italic: "_", struck: "~", keepsLanguages: false, escape: { Mrkdwn.escaped($0) },
        link: { label, address in
            "<\(Mrkdwn.escaped(address).replacing("|", with: "%7C"))|\(Mrkdwn.escaped(label).replacing("|", with: "¦"))>"
        })
}
