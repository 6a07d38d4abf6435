/// What an app has to be allowed, and what goes without it (https://docs.slack.dev/reference/scopes).
enum SlackScopes {
    private static let wanted: [(scope: String, without: String)] = [
        ("chat:write", "nothing can be said"),
        ("channels:history", "commands in public channels are not heard, but for mentions"),
        ("groups:history", "commands in private channels are not heard, but for mentions"),
        ("mpim:history", "commands in group direct messages are not heard, but for mentions"),
        ("im:history", "direct messages are not heard"),
        ("im:write", "nobody can be written to first"),
        ("files:write", "long output comes in pieces instead of a file"),
        ("commands", "slash commands do not come"),
        ("app_mentions:read", "mentions are not heard in channels whose messages are not"),
        ("users:read", "people are known by their ids only, and rules with @names match nobody"),
        ("channels:read", "public channels are known by their ids only, and rules with #names match none"),
        ("groups:read", "private channels are known by their ids only, and rules with #names match none"),
    ]

    /// One sentence for each that is missing, with what to click.
    /// - Parameters:
    ///   - granted: as Slack lists them in `X-OAuth-Scopes`.
    ///   - reacts: whether commands are acknowledged with an emoji.
    static func advice(granted: String, reacts: Bool) -> [String] {
        let wanted = wanted + (reacts ? [("reactions:write", "commands are not acknowledged with an emoji")] : [])
        let scopes = Set(granted.split(separator: ",").map { $0.filter { !$0.isWhitespace } })
        return wanted.filter { !scopes.contains($0.scope) }.map { wanted in
            "The Slack app lacks the scope \(wanted.scope), so that \(wanted.without): add it at api.slack.com/apps under "
                + "“OAuth & Permissions”, then reinstall the app."
        }
    }
}
