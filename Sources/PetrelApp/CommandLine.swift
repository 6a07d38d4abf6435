import ArgumentParser
import Foundation
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport
import PetrelWeb
import ServiceLifecycle

/// The command line of a program with plug-ins.
public enum PetrelProgram {
    /// Runs the command line until it ends, and exits the process.
    /// - Parameters:
    ///   - catalog: the plug-ins of the program, and its additional subcommands.
    ///   - name: the name of the program; nil for that of the catalog.
    ///   - abstract: a one-line description of the program; nil for that of the catalog.
    public static func main(_ catalog: Catalog, name: String? = nil, abstract: String? = nil) async {
        var catalog = catalog
        catalog.name = name ?? catalog.name
        catalog.abstract = abstract ?? catalog.abstract
        // A write to a pipe that nobody reads must report the error, and not end the process.
        _ = signal(SIGPIPE, SIG_IGN)
        // The next file that is opened would get the number of a closed descriptor, and output would be written to it.
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
            _ = open("/dev/null", O_RDWR)
        }
        await Catalog.$current.withValue(catalog) { await RootCommand.main() }
    }
}

/// The command of the program, such as `petrel`.
struct RootCommand: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        let catalog = Catalog.current
        let all: [any ParsableCommand.Type] = [
            Run.self, Demo.self, Check.self, Explain.self, StoreCommand.self, OutboxCommand.self, NewCommand.self,
            LambdaCommand.self,
        ]
        return CommandConfiguration(
            commandName: catalog.name, abstract: catalog.abstract, version: "\(Bot.version) (commit \(Bot.commit))",
            subcommands: all.filter { $0 != Demo.self || !catalog.demo.isEmpty } + catalog.commands)
    }
}

extension LaunchOptions {
    /// Throws an error for the user if an option is out of range.
    func validate() throws {
        if let linger, !(0...86_400).contains(linger) {
            throw ValidationError("--linger must be from 0 to 86400 seconds.")
        }
    }
}

/// The exit codes of the process, as in sysexits(3).
enum ExitStatus {
    /// `EX_UNAVAILABLE`: another program uses a port or the store.
    static let unavailable = ExitCode(69)
    /// `EX_SOFTWARE`: an internal error.
    static let software = ExitCode(70)
    /// `EX_CANTCREAT`: a file or a folder cannot be created.
    static let cannotCreate = ExitCode(73)
    /// `EX_CONFIG`: an error in the configuration.
    static let configuration = ExitCode(78)

    /// Prints an error, and returns the exit code for it.
    static func of(_ error: any Error) -> ExitCode {
        guard !(error is ServiceGroupError) else {
            say("a component ended unexpectedly; see the log")
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

    /// Prints a line to standard error.
    static func say(_ text: String) {
        StandardStream.error.write("\(Catalog.current.name): \(Printable.text(text))\n", within: .seconds(2))
    }
}

/// The option for the configuration file.
struct ConfigOption: ParsableArguments {
    @Option(help: "The configuration file.")
    var config = "config.json"

    /// The path of the store. Errors elsewhere in the file are ignored.
    var storePath: String {
        get throws { try StoreSettings.path(ofFile: config, environment: ProcessInfo.processInfo.environment) }
    }
}
