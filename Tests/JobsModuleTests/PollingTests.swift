import Foundation
import Logging
import PetrelKit
import PetrelSupport
import Testing

@testable import JobsModule

/// Folders on a system that reports no changes.
@Suite(.timeLimit(.minutes(20))) struct PollingTests {
    @Test func `Scripts that come, change and go are noticed without reports of the system`() async throws {
        try await ScriptFolder.with { folder in
            let section = SettingsSection(
                ["scripts": ["directory": .string(folder.path), "auth_strategy": "any"]], at: "jobs",
                in: SettingsContext(folder: folder.url, environment: [:]))
            let library = ScriptLibrary(
                JobsSettings(section).scripts, environment: [:],
                Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, watch: FolderWatch(asksSystem: false))
            #expect(library.isPolling)
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
}
