import PetrelKit
import PetrelSupport

/// The section `lock` of the configuration.
package struct LockPlugIn: ModulePlugIn {
    package static let section: String? = "lock"
    package let outlines = [ModuleOutline("lock", commands: ["lock take", "lock release", "lock list"])]

    package init(_ sections: [SettingsSection]) {
        for section in sections { section.finish() }
    }

    package func makeModules(_ context: ModuleContext) throws -> [any BotModule] {
        [LockModule(context.host(for: "lock"))]
    }
}

/// Activates the module in the demo, which has no configuration file.
package enum LockDemo: DemoPart {
    package static func run(
        _ options: LaunchOptions, _ body: @Sendable ([String: JSONValue]) async throws -> Void
    ) async throws {
        try await body(["lock": [:]])
    }
}
