import ArgumentParser
import Foundation
import PetrelCore
import PetrelKit
import PetrelStore

/// The command `petrel store`.
struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "Maintain the store.",
        subcommands: [BackUpStore.self, CheckStore.self, RotateKey.self])
}

/// The command `petrel store backup`.
struct BackUpStore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Copy the store into a new file. Petrel may be running.",
        discussion: "The copy does not contain the key of the stored logins.")

    @OptionGroup var file: ConfigOption

    @Option(help: "The file to create.")
    var to: String

    func run() async throws {
        do {
            let path = try file.storePath
            let store = try Store(readingOnly: path)
            try store.backup(to: to)
            print(
                "\(to) contains a copy of \(path). To restore it, stop Petrel, put the copy there, "
                    + "and remove the files beside it whose names end in -wal and -shm. The copy does "
                    + "not contain what happened since the backup, so some messages may be posted again.")
        } catch {
            throw ExitStatus.of(error)
        }
    }
}

/// The command `petrel store check`.
struct CheckStore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check the whole store and count its records. Petrel may be running.")

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

/// The command `petrel store rotate-key`.
struct RotateKey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate-key", abstract: "Encrypt the stored logins with a new key. Petrel must be stopped.",
        discussion: "If the key is in a file, the file is replaced. If it comes from the environment, the "
            + "configuration or systemd, --to names the file for the new key.")

    @OptionGroup var file: ConfigOption

    @Option(help: "The file to create for the new key.")
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
                            message: "is not in a file that Petrel manages: name a file for the new key with --to FILE")
                    ])
            }
            let store = try Store(path: settings.path, keys: keys)
            if let news = try store.checkKey() { ExitStatus.say(news) }
            let count = try store.rotateKey(to: to)
            try store.close()
            print("\(count) stored login\(count == 1 ? " is" : "s are") encrypted with the new key.")
            if let to { print("The new key is in \(to): set store.key to it before you start Petrel.") }
        } catch {
            throw ExitStatus.of(error)
        }
    }
}
