import FaultSuite
import Foundation
import GRDB
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import JobsModule
@testable import PetrelStore

/// Jobs while the store is busy or failing.
@Suite(.timeLimit(.minutes(20))) struct BusyStoreTests {
    private struct House {
        let jobs: JobsHouse
        let store: Store
        let folder: URL
        let lock: WriteLock
        /// Notes each write of output, whether it succeeds or fails.
        private let changes = Changes()
        private let watch = FolderWatch()

        init(_ jobs: JobsHouse, _ store: Store, _ folder: URL) throws {
            self.jobs = jobs
            self.store = store
            self.folder = folder
            lock = try WriteLock(on: store.database.path)
            store.logWriter.queue.observe { [changes] _ in changes.note() }
            _ = watch.watch([folder.path])
        }

        /// Waits until output cannot be written.
        func waitForTrouble() async throws {
            try await changes.wait(until: "output cannot be written") { store.logWriter.queue.trouble != nil }
        }

        /// Waits until a file exists.
        func wait(forFile name: String) async throws {
            let path = folder.appendingPathComponent(name).path
            while true {
                // Before the file is looked for, so that no change is missed.
                let change = watch.next()
                if FileManager.default.fileExists(atPath: path) { return }
                await watch.wait(for: change)
                try Task.checkCancellation()
            }
        }

        func create(file name: String) throws { try Data().write(to: folder.appendingPathComponent(name)) }
    }

    private static func run(
        _ script: String, _ more: [String: JSONValue] = [:], patience: Duration = .seconds(600),
        _ body: @escaping @Sendable (House) async throws -> Void,
        afterwards: (House) async throws -> Void = { _ in }
    ) async throws {
        try await withFolder { folder in
            let command: [String: JSONValue] = [
                "command": "sh", "args": ["-c", .string(script)], "auth_strategy": "any", "no_handshake": true,
                "timeout": 0, "cwd": .string(folder.path),
            ]
            let jobs: JSONValue = [
                "commands": ["x": .object(command.merging(more) { $1 })],
                "messages": ["success": ["ok"], "failure": ["no"]],
            ]
            let store = try Store(
                path: folder.appendingPathComponent("petrel.db").path, keys: .ephemeral(), logPatience: patience)
            let house = try JobsHouse(jobs, store: TestStore(store))
            let whole = try House(house, store, folder)
            try await house.run { _ in try await body(whole) }
            try await afterwards(whole)
            try store.close()
        }
    }

    @Test func `The result waits for output that another program keeps from being stored`() async throws {
        try await Self.run("echo a; echo b") { house in
            try await house.lock.take()
            house.jobs.backend.type("!x")
            try await house.waitForTrouble()
            try await house.lock.release()
            #expect(await house.jobs.next() == "@alice ok (job 1)\n```\na\nb\n```")
        }
    }

    @Test func `A program waits while the store is busy, and nothing of its output is lost`() async throws {
        let script = "touch begun; seq 1 400000; touch printed"
        try await Self.run(script, ["templates": ["success": "{{ size }}"]]) { house in
            try await house.lock.take()
            house.jobs.backend.type("!x")
            try await house.wait(forFile: "begun")
            try await house.waitForTrouble()
            // Its index is not written yet.
            #expect(await house.jobs.ask("!jobs").contains("1 - "))
            #expect(await house.jobs.ask("!last").contains("* ID 1\n"))
            #expect(await house.jobs.ask("!audit -status running", as: "@root").contains("1 - "))
            #expect(!FileManager.default.fileExists(atPath: house.folder.appendingPathComponent("printed").path))
            try await house.lock.release()
            #expect(await house.jobs.next() == "2688895")
            let logs = house.store.storage(for: "jobs").logs("jobs")
            #expect(try await logs.tail(of: "000000000001", lines: 1).bytes == Array("400000\n".utf8))
            #expect(await !house.jobs.ask("!job 1").contains("Note"))
        }
    }

    @Test func `A gap in the output is marked, counted, and told in the reply`() async throws {
        let script = """
            seq 1 400000; touch printed; while [ ! -e go ]; do sleep 0.1; done; echo end; exit 1
            """
        try await Self.run(script, patience: .milliseconds(1)) { house in
            try await house.lock.take()
            house.jobs.backend.type("!x")
            try await house.wait(forFile: "printed")
            try await house.lock.release()
            #expect(await house.store.written())
            house.store.logWriter.wait(atMost: .seconds(600))
            try house.create(file: "go")
            let reply = await house.jobs.next()
            #expect(reply.hasPrefix("@alice no"), "\(reply)")
            let logs = house.store.storage(for: "jobs").logs("jobs")
            let whole = try await logs.read("000000000001", from: 0, limit: .max)
            // Some of the output may have been in the pipe, so that it follows the mark.
            let mark = String(
                decoding: whole.pieces.filter { $0.stream == LogPart.remarks }.flatMap(\.bytes), as: UTF8.self)
            let lost = try #require(Int64(mark.drop { !$0.isNumber }.prefix { $0.isNumber }))
            #expect(
                mark.hasSuffix("[\(lost) bytes of the output could not be stored]\n") && mark.utf8.count < 60, "\(mark)"
            )
            #expect(reply.contains("\nend\n```\n"), "\(reply)")
            #expect(reply.hasSuffix("\nNote: \(lost) bytes of the output could not be stored."), "\(reply)")
            #expect(await house.jobs.ask("!job 1").contains("* Note \(lost) bytes of the output could not be stored"))
            let kept = whole.pieces.filter { $0.stream == 1 }.flatMap(\.bytes)
            #expect(Int64(kept.count) + lost == 2_688_895 + 4)
            #expect(kept.starts(with: Array("1\n2\n3\n".utf8)))
        }
    }

    @Test func `What is missing at the end is marked, and an answer of a script tells it`() async throws {
        let script = #"seq 1 400000; echo '{"text": "never shown"}'"#
        try await Self.run(script, ["answer": "json"], patience: .milliseconds(1)) { house in
            try await house.lock.take()
            house.jobs.backend.type("!x")
            let reply = await house.jobs.next()
            #expect(reply.contains(" bytes of the output could not be stored."), "\(reply)")
            #expect(reply.contains("is not stored yet; !logs 1 shows it"), "\(reply)")
            try await house.lock.release()
            #expect(await house.store.written())
            #expect(await house.jobs.ask("!tail 1 -limit 1").contains(" bytes of the output could not be stored]"))
        }
    }

    @Test func `When Petrel stops, nothing waits for the store any more`() async throws {
        try await Self.run("touch begun; seq 1 9000000") { house in
            try await house.lock.take()
            house.jobs.backend.type("!x")
            try await house.wait(forFile: "begun")
            try await house.waitForTrouble()
        } afterwards: { house in
            // Without an end of the wait, the host would still be stopping.
            try await house.lock.release()
            #expect(await house.store.written())
            let storage = house.store.storage(for: "jobs")
            let value = try #require(try await storage.records("jobs").value(for: "000000000001"))
            let record = try JSONValue.parse(value)
            #expect(record["status"] == "Killed" && record["reason"] == "Petrel stopped")
            let note = try #require(record["note"]?.string)
            #expect(note.hasSuffix(" bytes of the output could not be stored"))
            let logs = storage.logs("jobs")
            let last = try await logs.tail(of: "000000000001", lines: 1).bytes
            let mark = String(decoding: last, as: UTF8.self)
            #expect(mark.hasPrefix("[") && note.hasSuffix(mark.dropFirst().dropLast(2)), "\(mark)")
        }
    }
}
