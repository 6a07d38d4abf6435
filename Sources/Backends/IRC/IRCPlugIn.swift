package import PetrelKit

/// The plug-in for backends of the kind `irc`.
package struct IRCPlugIn: BackendPlugIn {
    /// The kind in the configuration.
    package static let kind = "irc"
    /// The facts for the review of access rules. Names of people and channels are in lower case.
    package static let facts = BackendFacts(
        namesChange: true,
        names: NameForms(areLowercase: true) { text, subject in
            guard !text.unicodeScalars.contains(where: \.properties.isUppercase) else { return false }
            return subject == .person ? IRCIdentity.isAccount(text) : IRCSettings.isChannel(text)
        },
        caution: "people without an account on the IRC network are identified by their nick, and anyone may take a "
            + "nick: access rules for people are effective only for accounts, on networks that show them")

    private let name: String
    private let settings: IRCSettings

    /// Reads the settings of a section.
    package init(name: String, _ section: SettingsSection, _ options: LaunchOptions) {
        self.name = name
        settings = IRCSettings(section)
    }

    /// Creates the backend.
    package func makeBackend(_ context: BackendContext) throws -> any ChatBackend {
        IRCBackend(name: name, settings: settings, context: context)
    }
}
