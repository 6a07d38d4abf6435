import FaultSuite
import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

/// Functions of plug-ins for CatOps, in the program.
@Suite(.timeLimit(.minutes(30))) struct CatOpsProgramTests {
    private static let source = """
        import os, time

        def ping(argv, params):
            \"""Check the bot.\"""
            return "Meow"

        def hang(argv, params):
            print("pid", os.getpid(), "begins")
            time.sleep(1000)
        """

    private static func write(_ rights: [String: JSONValue], in folder: URL) throws {
        let section: [String: JSONValue] = ["plugins": "plugins"].merging(rights) { $1 }
        let object: [String: JSONValue] = [
            "admins": ["@root"], "backends": ["text": ["format": "jsonl", "linger": 30]],
            "jobs": ["catops": .object(section)],
            // Tests ask again until something has changed; beyond the limit there would be no answer.
            "bot": ["limits": ["lines_per_minute": 1_000_000]],
        ]
        try Data(try JSONValue.encode(object)).write(to: folder.appendingPathComponent("config.json"))
        let plugins = folder.appendingPathComponent("plugins")
        try FileManager.default.createDirectory(
            at: plugins, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        try Data(source.utf8).write(to: plugins.appendingPathComponent("one.py"))
    }

    private static let numbers = Locked(0)

    /// Sends a line, and returns the text of the next reply.
    private static func ask(_ petrel: Program, _ text: String, from: String = "@pablo") async throws -> String {
        let number = numbers.withLock { number in
            number += 1
            return number
        }
        let line: JSONValue = ["id": .string("\(number)"), "from": .string(from), "text": .string(text)]
        petrel.type(String(decoding: try JSONValue.encode(line), as: UTF8.self))
        return try await next(petrel)
    }

    private static func next(_ petrel: Program) async throws -> String {
        let line = try #require(await petrel.line())
        return try #require(try JSONValue.parse(line.utf8)["text"]?.string)
    }

    @Test func `the death of the program ends its calls, and the next start tells that`() async throws {
        try await withFolder { folder in
            try Self.write(["auth_strategy": "any"], in: folder)
            let first = try Program(["run"], in: folder)
            while try await Self.ask(first, "!ping") != "Meow" {}
            first.type(#"{"id": "hang", "from": "@pablo", "text": "!hang"}"#)
            var text = ""
            while !text.contains("begins") { text = try await Self.ask(first, "!tail") }
            let words = text.words
            let index = try #require(words.firstIndex(of: "pid"))
            let process = try #require(Int32(words[index + 1]))
            first.signal(SIGKILL)
            _ = await first.end()
            let second = try Program(["run"], in: folder)
            #expect(try await Self.next(second).hasPrefix("hang failed: Petrel ended while it was running"))
            #expect(try await Self.ask(second, "!last").contains("* Status Killed"))
            while kill(process, 0) == 0 { await Task.yield() }
            second.closeInput()
            #expect(await second.end().status == 0)
        }
    }

    @Test func `a stop ends calls as jobs, and reload and explain know the rights`() async throws {
        try await withFolder { folder in
            try Self.write(["auth_strategy": "any"], in: folder)
            let first = try Program(["run"], in: folder)
            while try await Self.ask(first, "!ping") != "Meow" {}
            try Self.write(["auth_strategy": "group", "allowed_groups": ["admin"]], in: folder)
            let news = try await Self.ask(first, "!reload", from: "@root")
            #expect(news.contains("jobs"))
            #expect(try await Self.ask(first, "!ping").contains("jobs.catops.allowed_groups allows only admin"))
            #expect(try await Self.ask(first, "!acl why @pablo ping", from: "@root").contains("jobs.catops"))
            first.type(#"{"id": "hang", "from": "@root", "text": "!hang"}"#)
            while !(try await Self.ask(first, "!tail", from: "@root")).contains("begins") {}
            first.signal(SIGTERM)
            let end = await first.end()
            #expect(end.status == 0)
            let explain = try Program(["explain", "--user", "@pablo", "ping x"], in: folder)
            let (status, output) = await explain.end()
            #expect(status == 0 && output.contains("jobs.catops.allowed_groups allows only admin"), "\(output)")
            let second = try Program(["run"], in: folder)
            if !end.output.contains("hang failed: Petrel stopped") {
                // The chat had ended before the job.
                #expect(try await Self.next(second).hasPrefix("hang failed: Petrel stopped"))
            }
            #expect(try await Self.ask(second, "!last", from: "@root").contains("* Status Killed"))
            second.closeInput()
            #expect(await second.end().status == 0)
        }
    }
}
