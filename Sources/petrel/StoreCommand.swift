import ArgumentParser
import Foundation
import PetrelCore
import PetrelKit
import PetrelStore

struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "Look after the store, while Petrel is stopped.", subcommands: [RotateKey.self])
}

struct RotateKey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate-key", abstract: "Seal the stored logins with a new key.",
        discussion: "Where the key is a file, the file is replaced. Where it comes from the environment, the "
            + "configuration or systemd, --to says where the new one goes.")

    @OptionGroup var file: ConfigOption

    @Option(help: "A file that is made for the new key.")
    var to: String?

    func run() async throws {
        do {
            let configuration = try Configuration.read(file.config)
            let keys = KeyRing(configuration.core.storeKey, environment: configuration.environment)
            let isReplaced =
                switch keys.source {
                case .file, .usual: true
                case .value, .credential: false
                }
            guard isReplaced || to != nil else {
                throw ConfigurationFailure(
                    file: file.config,
                    problems: [
                        SettingsProblem(
                            path: "store.key",
                            message: "is in no file of ours: say with --to FILE where the new one goes")
                    ])
            }
            let store = try Store(path: configuration.core.storePath, keys: keys)
            if let news = try store.checkKey() { ExitStatus.say(news) }
            let count = try store.rotateKey(to: to)
            try store.close()
            print("\(count) stored login\(count == 1 ? " is" : "s are") sealed with the new key.")
            if let to { print("The new key is in \(to): set store.key to it before you start Petrel.") }
        } catch {
            throw ExitStatus.of(error)
        }
    }
}
