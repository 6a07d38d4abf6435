import ArgumentParser
import Foundation
import PetrelCore
import PetrelKit
import PetrelStore

struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "Look after the store.",
        subcommands: [BackUpStore.self, CheckStore.self, RotateKey.self])
}

struct BackUpStore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Copy the store into a new file, while Petrel runs or not.",
        discussion: "The key of the stored logins is not in the copy.")

    @OptionGroup var file: ConfigOption

    @Option(help: "The file to make.")
    var to: String

    func run() async throws {
        do {
            let path = try file.storePath
            let store = try Store(readingOnly: path)
            try store.backup(to: to)
            print(
                "\(to) holds a copy of \(path). To use it, stop Petrel, put it there, "
                    + "and remove the files beside it whose names end in -wal and -shm. What StackStorm has announced "
                    + "since is then said again, as far back as replay_window goes.")
        } catch {
            throw ExitStatus.of(error)
        }
    }
}

struct CheckStore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Read the whole store and say what is in it, while Petrel runs or not.")

    @OptionGroup var file: ConfigOption

    func run() async throws {
        let findings: Store.Findings
        do {
            findings = try Store(readingOnly: file.storePath).findings()
        } catch {
            throw ExitStatus.of(error)
        }
        for (table, count) in findings.rows { print("\(table): \(count)") }
        for problem in findings.problems { print("problem: \(problem)") }
        guard findings.problems.isEmpty else { throw ExitCode(1) }
        print("The store is sound.")
    }
}

struct RotateKey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate-key", abstract: "Seal the stored logins with a new key, while Petrel is stopped.",
        discussion: "Where the key is a file, the file is replaced. Where it comes from the environment, the "
            + "configuration or systemd, --to says where the new one goes.")

    @OptionGroup var file: ConfigOption

    @Option(help: "A file that is made for the new key.")
    var to: String?

    func run() async throws {
        do {
            let environment = ProcessInfo.processInfo.environment
            let settings = try StoreSettings.read(file.config, environment: environment)
            let keys = KeyRing(settings.key, environment: environment)
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
            let store = try Store(path: settings.path, keys: keys)
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
