import PetrelKit

/// The settings of a section of `backends`.
package struct UnixSettings: Sendable {
    /// The absolute path of the socket.
    package var socket: String
    /// The maximum number of connections.
    package var clients: Int

    package init(_ section: SettingsSection) {
        socket = section.path(of: section.requiredString("socket"))
        clients = section.integer("clients", default: 32, in: 1...1000)
        // The address of a Unix-domain socket holds 107 bytes on Linux, and `.d/s` is appended to the path.
        if socket.utf8.count > 100 { section.problem("socket", "must be a path of at most 100 bytes") }
        section.finish()
    }
}

/// The kind of backend `unix`.
package struct UnixPlugIn: BackendPlugIn {
    package static let kind = "unix"
    package static let facts = BackendFacts(
        namesChange: true, caution: "clients choose their nicks: rules that name people are not enforced")

    private let name: String
    private let settings: UnixSettings

    package init(name: String, _ section: SettingsSection, _ options: LaunchOptions) {
        self.name = name
        settings = UnixSettings(section)
    }

    package func makeBackend(_ context: BackendContext) throws -> any ChatBackend {
        UnixBackend(name: name, settings: settings, context: context)
    }
}
