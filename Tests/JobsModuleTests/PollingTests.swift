import Foundation
import Logging
import PetrelKit
import PetrelSupport
import Testing

@testable import JobsModule

/// Folders on a system that reports no changes.
@Suite(.timeLimit(.minutes(20))) struct PollingTests {
    /// True unless the user has as many watches as the system permits.
    private static var reportsChanges: Bool { FolderWatch().watch(["/"]) }

    @Test func `Scripts that come, change and go are noticed without reports of the system`() async throws {
        try await ScriptFolder.with { folder in
            let section = SettingsSection(
                ["scripts": ["directory": .string(folder.path), "auth_strategy": "any"]], at: "jobs",
                in: SettingsContext(folder: folder.url, environment: [:]))
            let library = ScriptLibrary(
                JobsSettings(section).scripts, environment: [:],
                Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, watch: FolderWatch(asksSystem: false))
            #expect(library.pollingReason != nil)
            let states = Mailbox<[String]>()
            let running = Task {
                await library.run({ _ in nil }) {
                    states.put(library.definitions.map { "\($0.name): \($0.summary)" })
                }
            }
            defer { running.cancel() }
            func wait(for state: [String]) async {
                while let next = await states.next(), next != state {}
            }
            try folder.sh("hello", "# petrel: Say hello.\necho hello")
            await wait(for: ["hello: Say hello."])
            try folder.sh("hello", "# petrel: Say good morning.\necho hello")
            await wait(for: ["hello: Say good morning."])
            try folder.remove("hello")
            await wait(for: [])
        }
    }

    @Test(.enabled(if: reportsChanges, "the system reports no changes"))
    func `A folder that does not exist is looked for, and the others are watched`() async throws {
        try await ScriptFolder.with { folder in
            let missing = folder.path + "-later"
            let watch = FolderWatch(polling: .milliseconds(1))
            #expect(watch.watch([folder.path, missing]))
            #expect(!watch.watch([folder.path, missing]))
            #expect(watch.problem == nil)

            let first = watch.next()
            let isOver = Signal()
            let waiting = Task {
                await watch.wait(for: first)
                isOver.open()
            }
            // A hundred looks for the folder are no reason to look at the others.
            await Signal.wait(for: isOver, atMost: .milliseconds(100))
            #expect(!isOver.isOpen)
            try folder.sh("hello", "echo hello")
            await waiting.value
            #expect(first.isOpen)

            let second = watch.next()
            let created = Task { await watch.wait(for: second) }
            try FileManager.default.createDirectory(atPath: missing, withIntermediateDirectories: false)
            await created.value
            #expect(watch.watch([folder.path, missing]))
            #expect(!watch.watch([folder.path, missing]))
            watch.end()
            #expect(watch.watch([folder.path, missing]))
        }
    }

    @Test(.enabled(if: reportsChanges, "the system reports no changes"))
    func `Folders whose names are equal as texts are watched, each for itself`() async throws {
        try await ScriptFolder.with { folder in
            let folders = ["caf\u{E9}", "cafe\u{301}"].map { "\(folder.path)/\($0)" }
            for path in folders { #expect(mkdir(path, 0o755) == 0) }
            for path in folders {
                let watch = FolderWatch()
                #expect(watch.watch(folders) && watch.problem == nil)
                let change = watch.next()
                #expect(mkdir(path + "/new", 0o755) == 0)
                await Signal.wait(for: change, atMost: .seconds(240))
                #expect(change.isOpen)
            }
        }
    }

    @Test(.enabled(if: reportsChanges, "the system reports no changes"))
    func `A script of a folder that comes later is a command, and so are those of the others`() async throws {
        try await ScriptFolder.with { folder in
            let later = folder.url.deletingLastPathComponent().appendingPathComponent("later").path
            let sections: JSONValue = .array(
                [folder.path, later].map { ["directory": .string($0), "auth_strategy": "any"] })
            try await JobsHouse(["scripts": sections]).run { house in
                #expect(await house.ask("!status").contains("scripts"))
                #expect(await !house.ask("!status").contains("every two seconds"))
                try folder.sh("hello", "echo hello")
                #expect(await house.ask("!hello", until: "hello") == "hello")
                let new = ScriptFolder(url: URL(fileURLWithPath: later + ".new"))
                try new.sh("bye", "echo bye")
                #expect(rename(new.path, later) == 0)
                #expect(await house.ask("!bye", until: "bye") == "bye")
            }
        }
    }
}
