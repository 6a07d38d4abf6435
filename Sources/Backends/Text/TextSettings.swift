import Foundation
package import PetrelKit

/// The settings of the text backend.
package struct TextSettings: Sendable {
    /// An input and output format.
    package enum Format: String, Sendable, CaseIterable {
        /// An interactive chat, or plain lines if standard input is not a terminal.
        case terminal
        /// JSON lines for input and output.
        case jsonl
    }

    /// The input and output format.
    package var format = Format.terminal
    /// The initial user, starting with `@`. `/as` changes it.
    package var user = "@you"
    /// The initial room, starting with `#`, or nil for a direct chat.
    package var room: String?
    /// The time to wait for pending results after the end of the input.
    package var linger = Duration.seconds(10)
    /// The path of the terminal's history file, or nil to keep no history.
    package var history: String?

    /// Creates the default settings.
    package init() {}

    /// Reads the settings from a configuration section and reports problems to it.
    package init(_ section: SettingsSection) {
        format = section.choice("format", default: .terminal)
        user = section.string("user", default: "@" + NSUserName())
        if !user.hasPrefix("@") { section.problem("user", "must start with @") }
        room = section.optionalString("room")
        if let room, !room.hasPrefix("#") { section.problem("room", "must start with #") }
        linger = .seconds(section.integer("linger", default: 10, in: 0...86_400))
        history = section.file("history")
        section.finish()
    }
}
