package import PetrelKit

/// The commands of the bot itself, which are always there.
package struct BuiltinsPlugIn: ModulePlugIn {
    package static let section: String? = nil

    package let outlines = [ModuleOutline("builtins", commands: BuiltinsModule.names)]

    package init(_ sections: [SettingsSection]) {}

    package func makeModules(_ context: ModuleContext) throws -> [any BotModule] {
        [BuiltinsModule(context.host(for: "builtins"))]
    }
}
