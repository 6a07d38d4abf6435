import FaultSuite
import Foundation
import PetrelKit
import PetrelStore
import PetrelSupport
import PetrelTesting
import Testing

/// Dead letters, from the command line and after a restart.
@Suite(.timeLimit(.minutes(30))) struct OutboxProgramTests {
    private static let config = """
        {"backends": {"text": {"format": "jsonl", "linger": 0}}, "stackstorm": {
            "auth_url": "http://127.0.0.1:1/auth/v1", "api_url": "http://127.0.0.1:1/api/v1",
            "stream_url": "http://127.0.0.1:1/stream/v1", "api_auth": {"token": "t"}}}
        """

    private static func outbox(_ arguments: [String], in folder: URL) async throws -> (status: Int32, output: String) {
        try await Program(["outbox"] + arguments, in: folder).end()
    }

    @Test func `dead letters are listed, sent again and dropped`() async throws {
        try await withFolder { folder in
            try Data(Self.config.utf8).write(to: folder.appendingPathComponent("config.json"))
            #expect(try await Self.outbox(["list"], in: folder).status == 69)
            let store = try Store(path: folder.appendingPathComponent("petrel.db").path, keys: .ephemeral())
            for (number, text) in [(1, "first"), (2, "second"), (3, "third")] as [(Int64, String)] {
                let address = Address(backend: "text", place: .room("#ops"))
                _ = store.outbox.add(
                    OutboxEntry(number: number, reply: Reply(text), address: address, said: .now), nil, of: "")
                store.outbox.markDead(number, reason: "no such room") {}
            }
            let hostile = Address(backend: "text", place: .room("#x\u{1B}]0;PWN\u{07}"))
            _ = store.outbox.add(
                OutboxEntry(number: 4, reply: Reply("fourth"), address: hostile, said: .now), nil, of: "")
            store.outbox.markDead(4, reason: "no such\u{1B}[2J room") {}
            await store.written()
            // While another process has the store open.
            let list = try await Self.outbox(["list"], in: folder)
            #expect(list.status == 0 && list.output.contains("#ops on text: no such room\n    second"))
            #expect(list.output.contains("PWN") && !list.output.utf8.contains(0x1B), "\(list.output)")
            let json = try await Self.outbox(["list", "--json"], in: folder).output.split(separator: "\n")
            #expect(
                try json.map { try JSONValue.parse($0.utf8)["text"]?.string } == ["first", "second", "third", "fourth"])
            #expect(try await Self.outbox(["drop", "3"], in: folder).output == "1 reply was dropped.")
            #expect(try await Self.outbox(["drop", "3"], in: folder).status == 1)
            #expect(try await Self.outbox(["retry", "2"], in: folder).output == "1 reply will be sent again.")
            #expect(try await Self.outbox(["retry"], in: folder).status == 64)
            try store.close()
            let petrel = try Program(["run", "--config", "config.json"], in: folder)
            #expect(await petrel.line(with: "second\"") != nil)
            petrel.signal(SIGTERM)
            #expect(await petrel.end().status == 0)
            #expect(try await Self.outbox(["list"], in: folder).output.contains("first"))
            #expect(try await Self.outbox(["drop", "--all"], in: folder).output == "2 replies were dropped.")
            let none = try await Self.outbox(["list"], in: folder).output
            #expect(none == "There are no undelivered replies.")
        }
    }

    @Test func `commands that only read the store do not need StackStorm's settings`() async throws {
        try await withFolder { folder in
            let config = Self.config.replacingOccurrences(
                of: #"{"token": "t"}"#, with: #"{"token": {"env": "PETREL_NOT_THERE"}}"#)
            #expect(config != Self.config)
            try Data(config.utf8).write(to: folder.appendingPathComponent("config.json"))
            try Store(path: folder.appendingPathComponent("petrel.db").path, keys: .ephemeral()).close()
            #expect(try await Self.outbox(["list"], in: folder).status == 0)
            let check = try await Program(["store", "check"], in: folder).end()
            #expect(check.status == 0 && check.output.contains("sound"), "\(check.output)")
            #expect(try await Program(["check"], in: folder).end().status == 1)
        }
    }

    @Test func `a stalled reader does not prevent the exit, and the next process sends the rest`() async throws {
        try await withFolder { folder in
            try Data(Self.config.utf8).write(to: folder.appendingPathComponent("config.json"))
            let stalled = try Program(["run", "--config", "config.json"], in: folder, isReading: false)
            for number in 0..<900 {
                stalled.type("{\"id\": \"\(number)\", \"from\": \"@alice\", \"room\": \"#ops\", \"text\": \"!help\"}")
            }
            // The line is rejected on standard error, so all lines before it were read.
            stalled.type("{\"id\": \"last\", \"from\": \"@bob\", \"room\": \"#ops\", \"text\": \"!audit\"}")
            #expect(await stalled.error(with: "Denied") != nil)
            stalled.signal(SIGTERM)
            #expect(await stalled.exit() == 0)
            let first = await stalled.end().output
            let next = try Program(["run", "--config", "config.json"], in: folder)
            next.closeInput()
            let lines = (first + "\n" + (await next.end().output)).split(separator: "\n")
            // The line that was being written at the exit may be incomplete; it is sent again.
            let answered = lines.compactMap { try? JSONValue.parse($0.utf8)["in_reply_to"]?.string }
            #expect(answered.count == 901 && Set(answered).count == 901)
        }
    }
}
