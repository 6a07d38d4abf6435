import ArgumentParser
import Foundation
import PetrelSupport
import PlugInTemplates

/// The command `petrel new catops`.
struct NewCatOps: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "catops", abstract: "Write a folder of plug-ins for CatOps, with tests and a configuration.",
        discussion: "Creates the folder NAME, and never overwrites anything.")

    @Argument(help: "The name of the folder.")
    var name = "catops"

    @Option(help: "The folder in which to create the folder of the plug-ins.")
    var to = "."

    func validate() throws {
        guard PlugInName(name) == nil else { return }
        throw ValidationError(
            "'\(Printable.line(name))' is not a name for a folder: use 1 to \(PlugInName.maximumLength) of a-z, 0-9, "
                + "_ and -, beginning with a letter.")
    }

    func run() throws {
        let folder = NewFolder(name: name, parent: to)
        do {
            try folder.write(CatOpsTemplate.files)
        } catch {
            ExitStatus.say("\(error)")
            throw ExitStatus.cannotCreate
        }
        print("Created \(Printable.line(folder.path)):")
        for file in CatOpsTemplate.files { print("  \(file.path)") }
        print("\nNext, test it, check its configuration, and run the bot:")
        let program = CommandLine.arguments.first ?? "petrel"
        let package = Installation.file("python").map { ["env", "PYTHONPATH=\($0)"] } ?? []
        let config = ["--config", "\(folder.path)/config.json"]
        let test = package + ["python3", "\(folder.path)/test_plugins.py"]
        for command in [test, [program, "check"] + config, [program, "run"] + config] {
            print("  \(New.shown(command))")
        }
        print("\nThen type:\n  !ping\n  !treat Tom --count 3")
    }
}
