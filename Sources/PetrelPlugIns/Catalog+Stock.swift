import BuiltinsModule
import IRCBackend
import InfraModule
import JobsModule
public import PetrelApp
import PlugInConformance
import ProcessBackend
import ProcessModule
import SlackBackend
import StackStormModule
import StackStormSimulator
import TextBackend
import XMPPBackend

extension Catalog {
    /// The plug-ins of `petrel` itself. A program of one's own adds its plug-ins to this catalog.
    public static var stock: Catalog {
        Catalog(
            abstract: "A ChatOps bot for StackStorm that loses no messages and explains its access decisions.",
            backends: [
                IRCPlugIn.self, ProcessBackendPlugIn.self, SlackPlugIn.self, TextPlugIn.self, XMPPPlugIn.self,
            ],
            modules: [
                BuiltinsPlugIn.self, StackStormPlugIn.self, JobsPlugIn.self, InfraPlugIn.self, ProcessModulePlugIn.self,
            ],
            demo: [TextDemo.self, SimulatorDemo.self],
            commands: [PlugInCommand.self, ScriptCommand.self, Simulate.self])
    }
}
