package import PetrelKit
import PetrelSupport

/// The plug-in for the section `jobs`: shell commands that people call from chat.
package struct JobsPlugIn: ModulePlugIn {
    package static let section: String? = "jobs"

    let settings: JobsSettings?

    /// Reads the section.
    package init(_ sections: [SettingsSection]) {
        settings = sections.first.map { JobsSettings($0) }
        for section in sections.dropFirst() { section.problem("", "there can be only one section jobs") }
    }

    package var outlines: [ModuleOutline] {
        guard let settings else { return [] }
        let names = JobCommands.names + (settings.scripts.isEmpty ? [] : [ScriptCommands.name])
        let builtIn = names.map { settings.prefix.isEmpty ? $0 : "\(settings.prefix) \($0)" }
        return [
            ModuleOutline(
                JobsModule.moduleName, naming: "jobs.commands, or jobs.prefix \"\(settings.prefix)\",",
                // Names that differ only in their case are reported with the commands.
                commands: Dictionary(settings.commands.map { (Command.key($0.name), $0.name) }) { first, _ in first }
                    .values.sorted() + builtIn, addsCommands: !settings.scripts.isEmpty || settings.catops != nil)
        ]
    }

    package func makeModules(_ context: ModuleContext) throws -> [any BotModule] {
        guard let settings else { return [] }
        let host = context.host(for: JobsModule.moduleName)
        var programs = context.host(for: CatOpsSettings.module)
        // The commands that it has declared are records of this module.
        programs.storage = host.storage
        let module = JobsModule(settings, host, programs: programs, hasWeb: context.web != nil)
        // At the end, jobs end before the program that answers their calls.
        return [module.center.program, module]
    }
}

extension JobsPlugIn: MetricsDescribing {
    package static var metricsHelp: [String: String] { JobMeters.help }
}

extension JobsPlugIn: Reloading {
    package func reload(_ modules: [any BotModule]) {
        guard let settings else { return }
        for case let module as JobsModule in modules { module.replace(settings) }
    }
}
