package import PetrelKit

/// The kind `xmpp` of backends.
package struct XMPPPlugIn: BackendPlugIn {
    package static let kind = "xmpp"
    package static let facts = BackendFacts(
        names: NameForms(haveSigils: false, areLowercase: true) { text, _ in
            text.unicodeScalars.dropFirst().contains("@")
        },
        caution: "in a room that hides accounts people are known as room@host/nick, and anybody may take a nick: "
            + "rules that name people hold only where the room shows accounts, and in direct chats")

    private let name: String
    private let settings: XMPPSettings

    package init(name: String, _ section: SettingsSection, _ options: LaunchOptions) {
        self.name = name
        settings = XMPPSettings(section)
    }

    package func makeBackend(_ context: BackendContext) throws -> any ChatBackend {
        XMPPBackend(
            name: name, settings: settings, version: context.version, on: context.loop, logger: context.logger)
    }
}
