/// The OAuth scopes that the app needs, and the consequences of missing ones (https://docs.slack.dev/reference/scopes).
enum SlackScopes {
    private static let wanted: [(scope: String, without: String)] = [
        ("chat:write", "the bot cannot send messages"),
        ("channels:history", "commands in public channels are not received, except mentions"),
        ("groups:history", "commands in private channels are not received, except mentions"),
        ("mpim:history", "commands in group direct messages are not received, except mentions"),
        ("im:history", "direct messages are not received"),
        ("im:write", "the bot cannot start direct messages"),
        ("files:write", "long output is sent as several messages instead of a file"),
        ("commands", "slash commands are not received"),
        ("app_mentions:read", "mentions are received only in channels whose messages are received"),
        ("users:read", "users are known only by ID, and access rules with @names do not match"),
        ("channels:read", "public channels are known only by ID, and access rules with #names do not match"),
        ("groups:read", "private channels are known only by ID, and access rules with #names do not match"),
    ]

    /// Returns one sentence for each missing scope, with the steps that add it.
    /// - Parameters:
    ///   - granted: the value of `X-OAuth-Scopes`, a comma-separated list.
    ///   - reacts: true if commands are acknowledged with an emoji, which needs another scope.
    static func advice(granted: String, reacts: Bool) -> [String] {
        let wanted = wanted + (reacts ? [("reactions:write", "commands are not acknowledged with an emoji")] : [])
        let scopes = Set(granted.split(separator: ",").map { $0.filter { !$0.isWhitespace } })
        return wanted.filter { !scopes.contains($0.scope) }.map { wanted in
            "The Slack app lacks the scope \(wanted.scope), so \(wanted.without). Add it at api.slack.com/apps under "
                + "“OAuth & Permissions”, then reinstall the app."
        }
    }
}
