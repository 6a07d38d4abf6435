import ArgumentParser
import Foundation
import PetrelCore
import PetrelStore

/// The command `petrel check`.
struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a configuration file offline and report each error with its location.")

    @OptionGroup var file: ConfigOption

    func run() async throws {
        do {
            let configuration = try Configuration.read(file.config)
            _ = try KeyRing(configuration.core.store.key, environment: configuration.environment).existing()
            for warning in configuration.warnings + (await configuration.conflicts()) {
                print("\(file.config): warning: \(warning)")
            }
            print("\(file.config): the configuration is valid.")
        } catch {
            print(error is StoreFailure ? "\(file.config): \(error)" : "\(error)")
            throw ExitCode(1)
        }
    }
}
