import FaultSuite
import Foundation
import PetrelSupport
import PetrelTesting
import Testing

/// The reports of `petrel plugin test`, which must end by itself.
@Suite(.timeLimit(.minutes(30))) struct PlugInTestTests {
    /// A program of this repository, with its interpreter and its settings.
    struct Example: Sendable, CustomTestStringConvertible {
        var interpreter: String
        var path: String
        var settings: JSONValue = [:]

        var testDescription: String { path }
    }

    private static let root = URL(fileURLWithPath: #filePath).appendingPathComponent("../../..").standardized

    private static func test(
        _ command: [String], _ options: [String] = [], in folder: URL
    ) throws -> Program {
        try Program(["plugin", "test", "--patience", "60"] + options + ["--"] + command, in: folder)
    }

    private static func test(_ example: Example, in folder: URL) async throws -> (status: Int32, lines: [String]) {
        let settings: [UInt8] = try JSONValue.encode(example.settings)
        let (status, output) = try await test(
            [example.interpreter, root.appendingPathComponent(example.path).path],
            ["--settings", String(decoding: settings, as: UTF8.self)], in: folder
        ).end()
        return (status, output.components(separatedBy: "\n"))
    }

    @Test(arguments: [
        Example(interpreter: "python3", path: "python/examples/oncall.py"),
        Example(interpreter: "sh", path: "sh/examples/disk.sh"),
        Example(interpreter: "python3", path: "python/examples/unix_chat.py", settings: ["socket": "chat.sock"]),
        Example(interpreter: "sh", path: "sh/examples/fifo_chat.sh", settings: ["folder": "chat"]),
    ]) func `the examples conform`(example: Example) async throws {
        try await withFolder { folder in
            let (status, lines) = try await Self.test(example, in: folder)
            #expect(status == 0 && lines.last?.contains(" 0 failed") == true, "\(lines.joined(separator: "\n"))")
        }
    }

    @Test func `a backend with a stand-in for its service is tested completely`() async throws {
        try await withFolder { folder in
            let example = Example(interpreter: "python3", path: "Tests/ProcessPlugInTests/memory_chat.py")
            let (status, lines) = try await Self.test(example, in: folder)
            #expect(status == 0, "\(lines.joined(separator: "\n"))")
            let skipped = lines.filter { $0.contains("skipped:") }
            #expect(skipped.count == 1 && skipped[0].hasPrefix("stop.stalled "), "\(skipped)")
        }
    }

    /// A module that answers every request with a result, writes more than messages, and as `deaf` does not end.
    private static let careless = """
        import json, sys, time
        for line in sys.stdin:
            message = json.loads(line)
            print("received", message.get("method"), flush=True)
            result = {}
            if message.get("method") == "hello":
                result = {"protocol": 1, "commands": [{"name": "x", "summary": "Do nothing."}]}
            if message.get("method") == "invoke":
                print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32603, "message": "m"}}), flush=True)
            elif "id" in message:
                print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
        time.sleep(3600 if "deaf" in sys.argv else 0)
        """

    @Test func `a failure states what is required, what came, and which section describes it`() async throws {
        try await withFolder { folder in
            try Data(Self.careless.utf8).write(to: folder.appendingPathComponent("careless.py"))
            let (status, output) = try await Self.test(["python3", "careless.py", "deaf"], in: folder).end()
            #expect(status == 1)
            for failure in [
                """
                protocol.unknown          failed (stop
                    Required: a request with an unknown method is answered with the error -32601
                    Expected: the error -32601 as the response to `no.such.method`
                    Got:      a result
                    See:      docs/PluginProtocol.md, “Messages”
                """,
                """
                protocol.output           failed (stop
                    Required: the standard output contains only messages
                    Expected: only messages on the standard output
                    Got:      the line “received hello”: the line is not JSON
                """,
                """
                protocol.shutdown         failed (stop
                    Required: `shutdown` is answered, and then the program ends by itself
                    Expected: the program to end within a second, when its standard input ends
                    Got:      a program that had to be ended with SIGTERM
                    See:      docs/PluginProtocol.md, “Start and end”
                """,
                """
                arguments.empty           failed
                    Required: commands answer calls without arguments
                    Expected: an answer of “x” to "", or a refusal with a sentence for the user
                    Got:      the plug-in answered `x` with an error: m
                    See:      docs/PluginProtocol.md, “Answering calls”
                """,
            ] {
                for line in failure.components(separatedBy: "\n") { #expect(output.contains(line), "\(output)") }
            }
        }
    }

    @Test func `the report as JSON has the same facts`() async throws {
        try await withFolder { folder in
            try Data(Self.careless.utf8).write(to: folder.appendingPathComponent("careless.py"))
            let (status, output) = try await Self.test(["python3", "careless.py"], ["--json"], in: folder).end()
            #expect(status == 1)
            let cases = try JSONValue.parse(output.utf8)["cases"]?.array ?? []
            let failure = try #require(cases.first { $0["id"] == "protocol.unknown" })
            #expect(failure["result"] == "failed" && failure["got"] == "a result")
            #expect(failure["page"] == "docs/PluginProtocol.md, “Messages”")
            #expect(cases.contains { $0["id"] == "protocol.ping" && $0["result"] == "passed" && $0["reason"] == .null })
        }
    }

    @Test(arguments: [
        (["sh", "-c", "exit 3"], "The program does not start: the plug-in ended with status 3. If it needs settings"),
        (["./none"], "could not be started"),
        (["python3", "PYTHON"], "as a backend, the plug-in refuses to start: The setting 'socket' must be"),
    ]) func `a program that does not start is reported with the reasons`(command: [String], reason: String) async throws
    {
        try await withFolder { folder in
            let example = Self.root.appendingPathComponent("python/examples/unix_chat.py").path
            let program = try Self.test(command.map { $0 == "PYTHON" ? example : $0 }, in: folder)
            let error = await program.error(with: "The program does not start")
            #expect(error?.contains(reason) == true, "\(error ?? "no error")")
            #expect(error?.contains("--settings") == true)
            #expect(await program.end().status == 1)
        }
    }
}
