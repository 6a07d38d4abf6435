public import ArgumentParser
public import PetrelKit

/// The plug-ins of a program, its additional subcommands, and the name and the abstract that its command line shows.
public struct Catalog: Sendable {
    /// The name of the program, which precedes its error messages.
    public var name: String
    /// The sentence that introduces the program in its help.
    public var abstract: String
    /// The kinds of backends that a configuration can name.
    public var backends: [any BackendPlugIn.Type]
    /// The kinds of modules.
    public var modules: [any ModulePlugIn.Type]
    /// The parts that `petrel demo` runs beside the bot. Without parts, the program has no demo.
    public var demo: [any DemoPart.Type]
    /// The subcommands of the program besides those of ``PetrelProgram``.
    public var commands: [any ParsableCommand.Type]

    /// Creates a catalog.
    public init(
        name: String = "petrel",
        abstract: String = "A ChatOps bot that loses no messages and explains its access decisions.",
        backends: [any BackendPlugIn.Type], modules: [any ModulePlugIn.Type], demo: [any DemoPart.Type] = [],
        commands: [any ParsableCommand.Type] = []
    ) {
        self.name = name
        self.abstract = abstract
        self.backends = backends
        self.modules = modules
        self.demo = demo
        self.commands = commands
    }

    /// The catalog of the running program.
    @TaskLocal static var current = Catalog(backends: [], modules: [])

    /// Returns the plug-in for a kind of backend.
    func backend(of kind: String) -> (any BackendPlugIn.Type)? {
        backends.first { $0.kind.utf8.elementsEqual(kind.utf8) }
    }

    /// The help text of each metric, by its Prometheus name.
    var metricsHelp: [String: String] {
        let plugIns =
            modules.compactMap { $0 as? any MetricsDescribing.Type }
            + backends.compactMap { $0 as? any MetricsDescribing.Type }
        return plugIns.reduce(into: Help.metrics) { help, plugIn in
            help.merge(plugIn.metricsHelp) { own, _ in own }
        }
    }
}
