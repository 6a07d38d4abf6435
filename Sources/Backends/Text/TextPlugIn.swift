import Foundation
package import PetrelKit
package import PetrelSupport

/// The kind `text` of backends.
package struct TextPlugIn: BackendPlugIn {
    package static let kind = "text"
    package static let facts = BackendFacts(
        isShared: false, isSingle: true,
        caution: "whoever types here may be anybody (/as, or “from” in JSON lines): rules do not keep them out")

    private let name: String
    private let settings: TextSettings

    package init(name: String, _ section: SettingsSection, _ options: LaunchOptions) {
        self.name = name
        var settings = TextSettings(section)
        if let linger = options.linger { settings.linger = .seconds(linger) }
        self.settings = settings
    }

    package func makeBackend(_ context: BackendContext) throws -> any ChatBackend {
        TextBackend(name: name, settings: settings, logger: context.logger)
    }
}

/// The terminal of `petrel demo`: its user is an administrator.
package enum TextDemo: DemoPart {
    package static func run(
        _ options: LaunchOptions, _ body: @Sendable ([String: JSONValue]) async throws -> Void
    ) async throws {
        let user = "@" + NSUserName()
        try await body([
            "backends": ["text": ["user": .string(user), "room": "#ops"]], "admins": [.string(user)],
        ])
    }
}
