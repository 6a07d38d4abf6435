import JobEngine
import PetrelKit
import PetrelStore
import PetrelSupport
import PetrelTesting
import Testing

@testable import JobsModule

/// Jobs whose records are not kept, as in a function of AWS Lambda.
@Suite(.timeLimit(.minutes(20))) struct UnrecordedTests {
    private static func run(
        _ script: String, answer: String = "json", traits: BackendTraits = BackendTraits(threads: true),
        _ body: @Sendable (JobsHouse, TestStore) async throws -> Void
    ) async throws {
        let command: JSONValue = [
            "command": "sh", "args": ["-c", .string(script)], "auth_strategy": "any", "no_handshake": true,
            "answer": .string(answer),
        ]
        let store = TestStore(try Store(keepsRecords: false))
        let house = try JobsHouse(["commands": ["x": command]], traits: traits, store: store)
        try await house.run { house in try await body(house, store) }
    }

    @Test func `Nothing of a job is left when its result was said`() async throws {
        try await Self.run("head -c 20000000 /dev/zero >&2; echo ok") { house, store in
            for _ in 0..<3 { #expect(await house.ask("!x") == "ok") }
            let storage = store.storage(for: "jobs")
            // The last job may still be removing its own.
            while try await storage.logs("jobs").extent(of: "3") != nil { await Task.yield() }
            for collection in ["jobs", "open", "jobs of test/@alice"] {
                while try await !storage.records(collection).all().isEmpty { await Task.yield() }
            }
            #expect(await house.ask("!logs 3").contains("no job 3"))
        }
    }

    @Test func `JSON is read whole beside a long standard error`() async throws {
        let script = #"head -c 3000000 /dev/zero >&2; printf '{"text": "%0900000d"}' 7; head -c 3000000 /dev/zero >&2"#
        try await Self.run(script, traits: BackendTraits(maximumLength: 1_000_000)) { house, _ in
            #expect(await house.ask("!x").utf8.count == 900_000)
        }
    }

    @Test func `A long output is cut, and no command is named that would show it`() async throws {
        try await Self.run("seq 1 2000000", answer: "text") { house, _ in
            let reply = await house.ask("!x")
            #expect(reply.hasPrefix("1\n2\n3\n") && reply.hasSuffix("\n… The rest of the output was not kept."))
            #expect(!reply.contains("logs"))
        }
    }

    @Test(arguments: ["", ">&2"])
    func `A failure shows the last lines of a long output`(stream: String) async throws {
        try await Self.run("echo first; echo first >&2; { seq 1 2000000; echo last; } \(stream); exit 3") { house, _ in
            let reply = await house.ask("!x")
            #expect(reply.contains("exit status 3") && reply.contains("\n1999999\n2000000\nlast\n"))
            #expect(!reply.contains("first") && !reply.contains("logs"))
        }
    }

    @Test func `Of each stream the beginning is kept, and of both the end`() {
        var budget = OutputBudget([.output: 3, .error: 1])
        func take(_ text: String, _ stream: ProgramStream) -> String {
            String(decoding: budget.take(Array(text.utf8), from: stream), as: UTF8.self)
        }
        #expect(take("ab", .output) == "ab" && take("x", .error) == "x")
        #expect(budget.end.isEmpty)
        #expect(take("yz", .error) == "" && take("cd", .output) == "c")
        #expect(budget.end.map { String(decoding: $0.bytes, as: UTF8.self) } == ["ab", "x", "yz", "cd"])
        #expect(budget.end.map(\.stream) == [.output, .error, .error, .output])
        for _ in 0..<100 { #expect(budget.take([UInt8](repeating: 1, count: 1_000), from: .output).isEmpty) }
        #expect(budget.end.reduce(0) { $0 + $1.bytes.count } == 16 << 10)
    }
}
