import Foundation
package import PetrelKit
package import PetrelSupport

/// The plug-in for backends of the kind `text`.
package struct TextPlugIn: BackendPlugIn {
    /// The kind in the configuration.
    package static let kind = "text"
    /// The facts for the review of access rules.
    package static let facts = BackendFacts(
        isShared: false, isSingle: true,
        caution: "users choose their own name (/as, or “from” in JSON lines): access rules do not restrict them")

    private let name: String
    private let settings: TextSettings

    /// Reads the settings of a section. `options.linger`, in seconds, overrides the setting `linger`.
    package init(name: String, _ section: SettingsSection, _ options: LaunchOptions) {
        self.name = name
        var settings = TextSettings(section)
        if let linger = options.linger { settings.linger = .seconds(linger) }
        self.settings = settings
    }

    /// Creates the backend.
    package func makeBackend(_ context: BackendContext) throws -> any ChatBackend {
        TextBackend(name: name, settings: settings, logger: context.logger)
    }
}

/// The text backend of `petrel demo`, whose user is an administrator.
package enum TextDemo: DemoPart {
    /// Runs the body with the configuration of the backend.
    package static func run(
        _ options: LaunchOptions, _ body: @Sendable ([String: JSONValue]) async throws -> Void
    ) async throws {
        let user = "@" + NSUserName()
        try await body([
            "backends": ["text": ["user": .string(user), "room": "#ops"]], "admins": [.string(user)],
        ])
    }
}
