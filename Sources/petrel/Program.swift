import BuiltinsModule
import IRCBackend
import PetrelApp
import PlugInConformance
import ProcessBackend
import ProcessModule
import SlackBackend
import StackStormModule
import StackStormSimulator
import TextBackend
import XMPPBackend

@main
enum Program {
    static func main() async {
        let catalog = Catalog(
            abstract: "A ChatOps bot for StackStorm that loses no messages and explains its access decisions.",
            backends: [
                IRCPlugIn.self, ProcessBackendPlugIn.self, SlackPlugIn.self, TextPlugIn.self, XMPPPlugIn.self,
            ],
            modules: [BuiltinsPlugIn.self, StackStormPlugIn.self, ProcessModulePlugIn.self],
            demo: [TextDemo.self, SimulatorDemo.self])
        await PetrelProgram.main(catalog, commands: [PlugInCommand.self, Simulate.self])
    }
}
