import Foundation
package import PetrelKit

/// How the text backend reads and writes.
package struct TextSettings: Sendable {
    package enum Format: String, Sendable, CaseIterable {
        /// A chat in the terminal; plain lines where standard input is none.
        case terminal
        /// JSON lines in both directions.
        case jsonl
    }

    package var format = Format.terminal
    /// Who types, until `/as` says otherwise.
    package var user = "@you"
    /// The room that is typed in, or nil for a direct chat.
    package var room: String?
    /// How long results are waited for after the end of the input.
    package var linger = Duration.seconds(10)
    /// The file that keeps the history of the terminal.
    package var history: String?

    package init() {}

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
