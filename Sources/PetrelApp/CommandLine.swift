public import ArgumentParser
import Foundation
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport
import PetrelWeb
import ServiceLifecycle

/// The command line of a program made of plug-ins.
public enum PetrelProgram {
    /// Runs the command line until it ends, and exits the process.
    /// - Parameter commands: subcommands of the program's own, beside Petrel's.
    public static func main(_ catalog: Catalog, commands: [any ParsableCommand.Type] = []) async {
        // A closed descriptor would be given to the next file that is opened, and output be written to that.
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
            _ = open("/dev/null", O_RDWR)
        }
        await RootCommand.$others.withValue(commands) {
            await Catalog.$current.withValue(catalog) { await RootCommand.main() }
        }
    }
}

struct RootCommand: AsyncParsableCommand {
    @TaskLocal static var others: [any ParsableCommand.Type] = []

    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "petrel",
            abstract: "A ChatOps bot for StackStorm that loses no messages and explains its access decisions.",
            version: Bot.version + (Bot.commit.isEmpty ? "" : " (commit \(Bot.commit))"),
            subcommands: [
                Run.self, Demo.self, Check.self, Explain.self, StoreCommand.self, OutboxCommand.self,
            ] + others)
    }
}

/// How the process ends, in the words of sysexits.h.
enum ExitStatus {
    /// A port or a store is held by another program.
    static let unavailable = ExitCode(69)
    /// An error inside.
    static let software = ExitCode(70)
    /// The configuration cannot be used.
    static let configuration = ExitCode(78)

    /// Says what went wrong, in one plain sentence, and returns the code for it.
    static func of(_ error: any Error) -> ExitCode {
        guard !(error is ServiceGroupError) else {
            say("a component of Petrel ended unexpectedly; see the log")
            return software
        }
        say("\(error)")
        return switch error {
        case is ConfigurationFailure, is PlugInFailure: configuration
        case let failure as StoreFailure where failure.place == "store.key": configuration
        case is StoreFailure, is WebFailure, is BackendFailure: unavailable
        default: software
        }
    }

    static func say(_ text: String) {
        StandardStream.error.write("petrel: \(Printable.text(text))\n", within: .seconds(2))
    }
}

struct ConfigOption: ParsableArguments {
    @Option(help: "The configuration file.")
    var config = "config.json"

    /// Where the store is. Nothing else in the file has to be right for that.
    var storePath: String {
        get throws { try StoreSettings.path(ofFile: config, environment: ProcessInfo.processInfo.environment) }
    }
}
