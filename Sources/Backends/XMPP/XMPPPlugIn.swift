package import PetrelKit

/// The plug-in for backends of the kind `xmpp`.
package struct XMPPPlugIn: BackendPlugIn {
    /// The kind in the configuration.
    package static let kind = "xmpp"
    /// The facts for the review of access rules. Names of people and rooms are JIDs in lower case.
    package static let facts = BackendFacts(
        names: NameForms(haveSigils: false, areLowercase: true) { text, _ in
            text.unicodeScalars.dropFirst().contains("@")
        },
        caution: "in a room that hides accounts people are identified as room@host/nick, and anyone may take a nick: "
            + "access rules for people are effective only in rooms that show accounts and in direct chats")

    private let name: String
    private let settings: XMPPSettings

    /// Reads the settings of a section.
    package init(name: String, _ section: SettingsSection, _ options: LaunchOptions) {
        self.name = name
        settings = XMPPSettings(section)
    }

    /// Creates the backend.
    package func makeBackend(_ context: BackendContext) throws -> any ChatBackend {
        XMPPBackend(
            name: name, settings: settings, version: context.version, on: context.loop, logger: context.logger)
    }
}
