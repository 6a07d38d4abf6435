import Dispatch
import FaultSuite
import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import PetrelStore

/// Tests of logs while writes to the database are failing.
@Suite(.timeLimit(.minutes(20))) struct LogWriterTests {
    private struct House {
        let store: Store
        let path: String
        let writer: LogWriter
        var logs: StoredLogs { StoredLogs(writer: writer, module: "m", collection: "c") }

        /// Notes each write, whether it succeeds or fails.
        let changes: Changes

        /// Waits until writes fail.
        func waitForTrouble() async throws {
            try await changes.wait(until: "writes fail") { writer.queue.trouble != nil }
        }

        /// Waits until everything is written, after writes have failed.
        func waitForSuccess() async throws {
            try await changes.wait(until: "writes succeed") { writer.queue.trouble == nil }
            #expect(await writer.queue.written())
        }

        /// Begins a transaction of another program, and ends it after the body.
        func whileLocked(_ body: () async throws -> Void) async throws {
            let lock = try WriteLock(on: path)
            try await lock.take()
            try await body()
            try await lock.release()
        }
    }

    private static func withHouse(patience: Duration = .seconds(600), _ body: (House) async throws -> Void) async throws
    {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("petrel.db").path
            let store = try Store(path: path, keys: .ephemeral())
            let writer = LogWriter(WriteQueue(store.database, linger: LogWriter.linger), patience: patience)
            let changes = Changes()
            writer.queue.observe { _ in changes.note() }
            try await body(House(store: store, path: path, writer: writer, changes: changes))
            try store.close()
        }
    }

    /// 64 KiB that differ from those of other numbers.
    private static func chunk(_ number: Int) -> [UInt8] {
        (0..<(16 << 10)).flatMap { index in [UInt8(number), UInt8(index & 0xFF), UInt8(index >> 8), 0x0A] }
    }

    @Test func `while another program holds the write lock, appending waits and loses nothing`() async throws {
        try await Self.withHouse { house in
            let count = 50
            let appended = Locked(0)
            let hasEnded = Locked(false)
            let task = Locked<Task<Void, any Error>?>(nil)
            try await house.whileLocked {
                let logs = house.logs
                try await logs.append(Array("begin\n".utf8), stream: 1, to: "a")
                try await house.waitForTrouble()
                task.withLock { task in
                    task = Task {
                        defer {
                            hasEnded.withLock { $0 = true }
                            house.changes.note()
                        }
                        for number in 0..<count {
                            try await logs.append(Self.chunk(number), stream: 1, to: "a")
                            appended.withLock { $0 += 1 }
                            house.changes.note()
                        }
                    }
                }
                // The next one waits for room.
                try await house.changes.wait(until: "16 are appended") { appended.value >= 16 || hasEnded.value }
                #expect(try await logs.extent(of: "a") == nil)
                #expect(appended.value == 16)
            }
            try await task.value?.value
            #expect(await house.logs.written())
            let part = try await house.logs.read("a", from: 0, limit: .max)
            #expect(part.bytes == Array("begin\n".utf8) + (0..<count).flatMap(Self.chunk))
        }
    }

    @Test func `bytes that were refused are missing, and no others`() async throws {
        try await Self.withHouse(patience: .milliseconds(200)) { house in
            let logs = house.logs
            try await logs.append(Array("begin\n".utf8), stream: 1, to: "a")
            #expect(await logs.written())
            try WriteQueueTests.fill(house.store, pages: 0)
            var accepted = Array("begin\n".utf8)
            var refused = 0
            for number in 0..<40 {
                do {
                    try await logs.append(Self.chunk(number), stream: 1, to: "a")
                    accepted += Self.chunk(number)
                } catch is WritesAreFailing {
                    refused += 1
                }
            }
            #expect(refused >= 40 - 17 && refused < 40)
            #expect(await logs.written() == false)
            logs.note("missing", in: "a")
            try WriteQueueTests.fill(house.store, pages: nil)
            try await house.waitForSuccess()
            #expect(await logs.written())
            let part = try await logs.read("a", from: 0, limit: .max)
            #expect(part.bytes == accepted + Array("missing\n".utf8))
            #expect(part.pieces.map(\.stream) == [1, LogPart.remarks])
            // There is room again.
            try await logs.append([7], stream: 2, to: "a")
            #expect(try await logs.read("a", from: part.next, limit: 9).bytes == [7])
        }
    }

    @Test func `once writes have failed for long, nothing waits any more`() async throws {
        try await Self.withHouse(patience: .seconds(3)) { house in
            try await house.whileLocked {
                try await house.logs.append([1], stream: 1, to: "a")
                #expect(await house.logs.written() == false)
                let start = ContinuousClock.now
                for _ in 0..<100 { #expect(await house.logs.written() == false) }
                // 100 times the patience would be five minutes.
                #expect(ContinuousClock.now - start < .seconds(150))
            }
            try await house.waitForSuccess()
            #expect(await house.logs.written())
        }
    }

    @Test func `the cancellation of a task ends its wait, and the bytes are not part of the log`() async throws {
        try await Self.withHouse { house in
            try await house.whileLocked {
                let logs = house.logs
                try await logs.append(Array(repeating: 1, count: LogWriter.most), stream: 1, to: "a")
                try await house.waitForTrouble()
                let task = Task { try await logs.append([2], stream: 1, to: "a") }
                task.cancel()
                await #expect(throws: CancellationError.self) { try await task.value }
            }
            #expect(await house.logs.written())
            #expect(try await house.logs.extent(of: "a")?.end == Int64(LogWriter.most))
        }
    }

    @Test func `bytes that are written before appending returns are not lost`() async throws {
        try await withFolder { folder in
            let path = folder.appendingPathComponent("petrel.db").path
            let store = try Store(path: path, keys: .ephemeral())
            let isWritten = DispatchSemaphore(value: 0)
            // As if the thread of the database were quicker than the one that appends.
            let queue = WriteQueue(store.database) { _, work in
                work()
                isWritten.wait()
            }
            queue.observe { _ in isWritten.signal() }
            let logs = StoredLogs(writer: LogWriter(queue), module: "m", collection: "c")
            for number in 0..<3 { try await logs.append([UInt8(number)], stream: 1, to: "a") }
            #expect(await logs.written())
            #expect(try await logs.read("a", from: 0, limit: .max).bytes == [0, 1, 2])
            try store.close()
        }
    }
}
