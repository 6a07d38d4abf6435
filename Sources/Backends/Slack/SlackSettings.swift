package import Foundation
package import PetrelKit
package import PetrelSupport

/// How Slack is reached, and as whom.
package struct SlackSettings: Sendable {
    /// `xoxb-…`
    package var botToken: Secret
    /// `xapp-…`, for Socket Mode.
    package var appToken: Secret?
    /// For HTTP mode.
    package var signingSecret: Secret?
    package var apiURL: URL
    /// Sockets that are open at a time: Slack spreads what it sends over them.
    package var connections = 1
    /// Slash commands that are taken as lines of theirs.
    package var slashCommands: Set<String> = ["/st2"]
    /// After this time without an event it is told what may be missing.
    var silence = Duration.seconds(600)
    /// A message that Slack delivers later than this is not run; nil where none is too old.
    package var maximumAge: Duration? = .seconds(600)
    /// How long a message waits for the names in it.
    var namePatience = Duration.seconds(2)
    /// What shortcuts amount to, without the prefix, by their callback ids.
    package var shortcuts: [String: String] = ["petrel_form": "st2 form"]
    /// `HTTPS_PROXY` and `NO_PROXY` are read from here.
    package var environment: [String: String] = [:]
    /// An emoji that acknowledges a command, on its message, in place of StackStorm's words; nil for the words.
    package var ackReaction: String?

    package init(botToken: Secret, appToken: Secret?, signingSecret: Secret? = nil, apiURL: URL) {
        self.botToken = botToken
        self.appToken = appToken
        self.signingSecret = signingSecret
        self.apiURL = apiURL
    }

    package init(_ section: SettingsSection, environment: [String: String]) {
        self.environment = environment
        botToken = Secret(section.requiredString("bot_token"))
        appToken = section.secret("app_token")
        signingSecret = section.secret("signing_secret")
        apiURL = section.url("api_url", default: "https://slack.com/api/")
        connections = section.integer("connections", default: 1, in: 1...10)
        slashCommands = Set(section.strings("slash_commands", default: ["/st2"]))
        for command in slashCommands where !command.hasPrefix("/") || command.count < 2 {
            section.problem("slash_commands", "\(command) must start with /")
        }
        shortcuts = Self.shortcuts(section)
        ackReaction = section.optionalString("ack_reaction")?.filter { $0 != ":" }
        let age = section.integer("max_age", default: 600, in: 0...86_400)
        maximumAge = age == 0 ? nil : .seconds(age)
        if !botToken.reveal().isEmpty, !botToken.reveal().hasPrefix("xoxb-") {
            section.problem(
                "bot_token", "must start with xoxb-: it is the “Bot User OAuth Token” under “OAuth & Permissions”")
        }
        if let appToken, !appToken.reveal().hasPrefix("xapp-") {
            section.problem(
                "app_token",
                "must start with xapp-: it is made under “Basic Information”, “App-Level Tokens”, with connections:write"
            )
        }
        if let signingSecret, signingSecret.reveal().isEmpty {
            section.problem("signing_secret", "is empty: it is under “Basic Information”, “App Credentials”")
        }
        if appToken == nil, signingSecret == nil {
            section.problem("app_token", "is required for Socket Mode, or signing_secret for HTTP")
        }
        section.finish()
    }

    private static func shortcuts(_ section: SettingsSection) -> [String: String] {
        guard let value = section.value("shortcuts") else { return ["petrel_form": "st2 form"] }
        let lines = value.object?.compactMapValues(\.string) ?? [:]
        if lines.isEmpty || lines.count != value.object?.count {
            section.problem("shortcuts", "must be an object of lines, by the callback ids of the shortcuts")
        }
        return lines
    }
}
