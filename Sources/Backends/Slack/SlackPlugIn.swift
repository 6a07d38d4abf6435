package import PetrelKit

/// The kind `slack` of backends.
package struct SlackPlugIn: BackendPlugIn {
    package static let kind = "slack"
    package static let facts = BackendFacts(
        namesChange: true, names: NameForms(areLowercase: true) { isID($0, $1) }, webKey: "signing_secret")

    private let name: String
    private let settings: SlackSettings

    package init(name: String, _ section: SettingsSection, _ options: LaunchOptions) {
        self.name = name
        settings = SlackSettings(section, environment: section.environment)
    }

    package func makeBackend(_ context: BackendContext) throws -> any ChatBackend {
        SlackBackend(name: name, settings: settings, on: context.loop, logger: context.logger)
    }

    /// The ids of people begin with `U` or `W`, those of channels with `C`, `D` or `G`
    /// (https://docs.slack.dev/reference/objects).
    private static func isID(_ text: String, _ subject: NameForms.Subject) -> Bool {
        let bytes = text.utf8
        let initials = subject == .person ? "UW" : "CDG"
        return bytes.count > 1 && bytes.first.map { initials.utf8.contains($0) } == true
            && bytes.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) }
    }
}
