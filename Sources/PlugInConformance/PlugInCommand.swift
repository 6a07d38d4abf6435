package import ArgumentParser

/// The command `petrel plugin`.
package struct PlugInCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "plugin", abstract: "Test plug-ins that are programs.", subcommands: [PlugInTest.self])

    package init() {}
}
