import PetrelKit
import PetrelSupport

/// The settings of the section `jobs.log_relay`.
struct LogRelaySettings: Sendable {
    /// The secret of requests.
    var secret: Secret
    /// The rooms in which records may be shown.
    var channels: [String]
    /// The backend of the rooms; nil to find it by their names.
    var backend: String?
    /// The number of records a minute for each room.
    var perMinute: Int

    /// Reads a section, and reports every error to it. Returns nil after an error.
    init?(_ section: SettingsSection) {
        channels = section.strings("channels")
        backend = section.optionalString("backend")
        perMinute = section.integer("per_minute", default: 60, in: 1...6_000)
        let text = section.requiredString("secret")
        secret = Secret(text)
        section.finish()
        if channels.isEmpty { section.problem("channels", "must name at least one room, such as [\"#ops\"]") }
        if section.contains("secret"), text.utf8.count < 16 || text.isBlank {
            section.problem("secret", "must have at least 16 characters, such as the output of openssl rand -hex 32")
        }
        if channels.contains(where: \.isBlank) { section.problem("channels", "must not contain an empty name") }
        if channels.isEmpty || text.utf8.count < 16 { return nil }
    }
}
