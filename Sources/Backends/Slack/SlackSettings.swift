package import Foundation
package import PetrelKit
package import PetrelSupport

/// The settings of a Slack backend.
package struct SlackSettings: Sendable {
    /// The bot token, which starts with `xoxb-`.
    package var botToken: Secret
    /// False if only slash commands and the buttons below their answers are answered, at their response URLs.
    package var hasBotToken = true
    /// The app-level token for Socket Mode, which starts with `xapp-`; nil disables Socket Mode.
    package var appToken: Secret?
    /// The signing secret for HTTP mode; nil disables HTTP mode.
    package var signingSecret: Secret?
    /// The base URL of the Web API, `https://slack.com/api/` by default.
    package var apiURL: URL
    /// The number of WebSockets to keep open, 1 to 10. Slack distributes envelopes among them.
    package var connections = 1
    /// The slash commands that are accepted, with their slashes.
    package var slashCommands: Set<String> = ["/st2"]
    /// The time without a message event after which a hint about missing subscriptions is logged.
    var silence = Duration.seconds(600)
    /// The maximum age of a message on delivery; older ones are not run. Nil means no limit.
    package var maximumAge: Duration? = .seconds(600)
    /// The timeout for looking up a name.
    var namePatience = Duration.seconds(2)
    /// The command lines of shortcuts, without the prefix, by callback ID.
    package var shortcuts: [String: String] = ["petrel_form": "st2 form"]
    /// The environment, which may contain `HTTPS_PROXY` and `NO_PROXY`.
    package var environment: [String: String] = [:]
    /// The emoji, without colons, that acknowledges a command as a reaction to its message; nil to send the
    /// acknowledgement as text.
    package var ackReaction: String?

    /// Creates settings with default values for all other properties.
    package init(botToken: Secret, appToken: Secret?, signingSecret: Secret? = nil, apiURL: URL) {
        self.botToken = botToken
        self.appToken = appToken
        self.signingSecret = signingSecret
        self.apiURL = apiURL
    }

    /// Reads the settings from a configuration section, and reports problems to it.
    package init(_ section: SettingsSection, environment: [String: String]) {
        self.environment = environment
        hasBotToken =
            section.contains("bot_token") || section.contains("app_token") || !section.contains("signing_secret")
        botToken = Secret(hasBotToken ? section.requiredString("bot_token") : "")
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
                "must start with xapp-: create it under “Basic Information”, “App-Level Tokens”, with connections:write"
            )
        }
        if let signingSecret, signingSecret.reveal().isEmpty {
            section.problem("signing_secret", "is empty: copy it from “Basic Information”, “App Credentials”")
        }
        if !hasBotToken {
            section.warn(
                "bot_token",
                "is not set: only slash commands and the buttons below their answers work, names are unknown, "
                    + "and each gets at most five messages within half an hour")
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
            section.problem("shortcuts", "must be an object that maps the callback IDs of shortcuts to command lines")
        }
        return lines
    }
}
