import Foundation
import GRDB
import Logging
import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import PetrelStore

@Suite(.timeLimit(.minutes(5))) struct LockedStoreTests {
    /// Answers at once, after it has stored a record.
    private struct Keeper: BotModule {
        let name = "keeper"
        let host: ModuleHost

        var commands: [Command] {
            [
                Command("echo", summary: "Repeat a text.") { Reply($0.arguments) },
                Command("keep", summary: "Store a text.") { invocation in
                    await host.storage.records("kept").keep(Array(invocation.arguments.utf8), for: "last")
                    return Reply("kept \(invocation.arguments)")
                },
            ]
        }
    }

    /// Occupies the writer of a database until a signal is opened.
    private static func occupy(_ database: any DatabaseWriter, until isOver: Signal) async {
        let isHeld = Signal()
        database.asyncWriteWithoutTransaction { _ in
            isHeld.open()
            // The thread is the database's own, and stands still like one that waits for a lock or a disk.
            let over = DispatchSemaphore(value: 0)
            Task {
                await isOver.wait()
                over.signal()
            }
            over.wait()
        }
        await isHeld.wait()
    }

    @Test func `commands and announcements go on while the database is locked`() async throws {
        try await withFolder { folder in
            let loop = EventLoopExecutor()
            let path = folder.appendingPathComponent("petrel.db").path
            let store = try Store(path: path, keys: .ephemeral(), later: loop.after)
            let backend = RecordingBackend()
            let host = try TestHost([backend], policy: Dispatcher.Policy(), store: TestStore(store), executor: loop)
            let isOver = Signal()
            let access = host.access(for: "keeper")
            try await host.run([Keeper(host: access)]) {
                await Self.occupy(store.database, until: isOver)
                for number in 0..<100 {
                    backend.type("!echo \(number)")
                    #expect(await backend.next()?.reply.text == "\(number)")
                }
                for number in 0..<10 {
                    backend.type("!keep \(number)")
                    #expect(await backend.next()?.reply.text == "kept \(number)")
                }
                try access.chat.say(Reply("unasked"), at: Address(backend: "test", place: .room("#ops")))
                #expect(await backend.next()?.reply.text == "unasked")
                isOver.open()
                #expect(await access.storage.written())
                let kept = try await access.storage.records("kept").value(for: "last")
                #expect(kept.map { String(decoding: $0, as: UTF8.self) } == "9")
            }
            try store.close()
        }
    }
}
