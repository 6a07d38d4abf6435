import PetrelKit
import PetrelSupport

/// The occasions on which the module replies to the caller of a command.
enum ReplyOccasion: String, Sendable, CaseIterable {
    /// A job was accepted.
    case handshake
    /// A job was successful.
    case success
    /// A job failed or was killed.
    case failure
    /// There is no such command.
    case unknowncommand
    /// The caller may not run the command.
    case unauthorized

    /// The key in `colors` of the colour of an attachment.
    var colour: String {
        switch self {
        case .handshake: "info"
        case .success: "success"
        case .failure, .unknowncommand, .unauthorized: "error"
        }
    }
}

/// The templates, messages, styles and colours of replies.
struct ReplyFormat: Sendable {
    /// The form of a reply.
    enum Style: String, Sendable, CaseIterable {
        /// A text with a colour, on backends that have it.
        case attachment
        /// A plain text.
        case text
        /// No reply.
        case disabled
    }

    var templates: [ReplyOccasion: ReplyTemplate]
    var messages: [ReplyOccasion: [String]]
    var styles: [ReplyOccasion: Style]
    var colours: [String: String]

    /// The format of a configuration without settings for it.
    static let standard = ReplyFormat(
        templates: Dictionary(uniqueKeysWithValues: ReplyOccasion.allCases.map { ($0, ReplyTemplate.standard($0)) }),
        messages: [
            .handshake: [
                "I'm Mr Meeseeks! look at me!", "Mr Meeseeks!", "Ooh, yeah! Can do!", "Ooh, ok!", "Yes, siree!",
                "Ooh, I'm Mr. Meeseeks! Look at me!",
            ],
            .success: ["All done!", "Mr Meeseeks", "Uuuuh, nice!"],
            .failure: ["Uuuh!, no, it failed"],
            .unauthorized: ["Uuuuh, yeah! you are not allowed to do"],
            .unknowncommand: ["Uuuh! no, I don't know how to do"],
        ], styles: [:], colours: ["info": "", "success": "good", "error": "danger"])

    /// Returns whether a reply shows the output of the job, so that it has to tell what is missing of it.
    func showsOutput(_ occasion: ReplyOccasion) -> Bool {
        templates[occasion].map { $0.text.utf8.contains("output".utf8) } ?? false
    }

    /// Returns the format with the settings of a section: `templates`, `messages`, `reply_styles` and `colors`.
    func read(_ section: SettingsSection) -> ReplyFormat {
        var format = self
        let keys = ReplyOccasion.allCases
        if let messages = section.optionalSection("messages") {
            for key in keys where messages.contains(key.rawValue) {
                let list = messages.strings(key.rawValue)
                if list.isEmpty { messages.problem(key.rawValue, "must contain at least one message") }
                format.messages[key] = list
            }
            messages.finish()
        }
        if let styles = section.optionalSection("reply_styles") {
            for key in keys where styles.contains(key.rawValue) {
                format.styles[key] = styles.choice(key.rawValue, default: .attachment)
            }
            styles.finish()
        }
        if let colours = section.optionalSection("colors") {
            for key in ["info", "success", "error"] {
                format.colours[key] = colours.string(key, default: format.colours[key] ?? "")
            }
            colours.finish()
        }
        if let templates = section.optionalSection("templates") {
            for key in keys {
                guard let text = templates.optionalString(key.rawValue) else { continue }
                let template = ReplyTemplate(text)
                if let problem = template.problem() { templates.problem(key.rawValue, problem) }
                format.templates[key] = template
            }
            templates.finish()
        }
        return format
    }
}
