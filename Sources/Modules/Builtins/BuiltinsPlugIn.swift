package import PetrelKit

/// The plug-in for the commands of the bot itself, which is always active.
package struct BuiltinsPlugIn: ModulePlugIn {
    package static let section: String? = nil

    package let outlines = [ModuleOutline("builtins", commands: BuiltinsModule.names)]

    package init(_ sections: [SettingsSection]) {}

    package func makeModules(_ context: ModuleContext) throws -> [any BotModule] {
        [BuiltinsModule(context.host(for: "builtins"))]
    }
}
