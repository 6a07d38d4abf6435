import FaultSuite
import Foundation
import GRDB
import Logging
import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import PetrelStore

@Suite(.timeLimit(.minutes(20))) struct LockedStoreTests {
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
        try await Self.run { store, backend, access in
            let isOver = Signal()
            await Self.occupy(store.database, until: isOver)
            try await Self.converse(backend, access)
            isOver.open()
            #expect(await access.storage.written())
        }
    }

    @Test func `commands and announcements go on while another program holds the write lock`() async throws {
        try await Self.run { store, backend, access in
            let hasFailed = Signal()
            store.queue.observe { isTaking in if !isTaking { hasFailed.open() } }
            let lock = try WriteLock(on: store.database.path)
            try await lock.take()
            try await Self.converse(backend, access)
            // Writes wait for the lock for a second, and are then reported as failing.
            await hasFailed.wait()
            #expect(store.status().first?.isHealthy == false)
            backend.type("!keep 9")
            #expect(await backend.next()?.reply.text == "kept 9")
            try await lock.release()
            #expect(await store.written())
            #expect(store.status().isEmpty)
        }
    }

    /// Runs a host with a store in a file, and checks that the last record is in the store at the end.
    private static func run(
        _ body: @Sendable (Store, RecordingBackend, ModuleHost) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            let loop = EventLoopExecutor()
            let path = folder.appendingPathComponent("petrel.db").path
            let store = try Store(path: path, keys: .ephemeral(), later: loop.after)
            let backend = RecordingBackend()
            let host = try TestHost([backend], policy: Dispatcher.Policy(), store: TestStore(store), executor: loop)
            let access = host.access(for: "keeper")
            try await host.run([Keeper(host: access)]) {
                try await body(store, backend, access)
                let kept = try await access.storage.records("kept").value(for: "last")
                #expect(kept.map { String(decoding: $0, as: UTF8.self) } == "9")
            }
            try store.close()
        }
    }

    private static func converse(_ backend: RecordingBackend, _ access: ModuleHost) async throws {
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
    }
}
