import FaultSuite
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import PlugInProtocol
import ProcessBackend
import Testing

/// What Petrel and a program exchange conforms to the JSON Schema of the protocol.
@Suite(.timeLimit(.minutes(30))) struct SchemaTests {
    /// Checks the transcript of a run, and returns the methods that occur in it.
    private static func methods(in transcript: String) async throws -> Set<String> {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let schema = folder.appendingPathComponent("../../docs/plugin-protocol.schema.json").standardized.path
        let check = try Program(
            [folder.appendingPathComponent("check_transcript.py").path, schema, transcript],
            of: await PythonTools.path(of: "python3"))
        let (status, output) = await check.end()
        try #require(status == 0, "\(output)")
        return Set(output.split { $0.isWhitespace }.map(String.init))
    }

    @Test func `the messages of a module conform to the schema`() async throws {
        try await withFolder { folder in
            let transcript = folder.appendingPathComponent("transcript").path
            let launch = FakePlugIn.launch("module", environment: ["TRANSCRIPT": transcript])
            try await FakePlugIn.run(launch) { backend, _ in
                backend.type("!echo", values: ["text": "from a form"])
                _ = await backend.next()
                #expect(await backend.ask("echo 'a b' 3") != "")
                #expect(await backend.ask("do error") == "done")
                backend.type("!do everything", in: nil)
                var texts: Set<String> = []
                while texts.count < 3, let reply = await backend.next()?.reply { texts.insert(reply.text) }
                #expect(texts == ["a form", "replaced", "done"])
            }
            let methods = try await Self.methods(in: transcript)
            #expect(
                methods.isSuperset(of: [
                    "hello", "invoke", "shutdown", "say", "replace", "tell_admins", "commands", "records.get",
                    "records.set", "records.remove", "records.all", "status", "gauges", "log",
                ]))
        }
    }

    @Test func `the messages of a backend conform to the schema`() async throws {
        try await withFolder { folder in
            let transcript = folder.appendingPathComponent("transcript").path
            let backend = ProcessBackend(
                FakePlugIn.launch("backend", environment: ["TRANSCRIPT": transcript]), version: "1",
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            let (messages, continuation) = AsyncStream.makeStream(of: ChatMessage.self)
            let running = Task { try await backend.run { continuation.yield($0) } }
            var iterator = messages.makeAsyncIterator()
            _ = await iterator.next(isolation: #isolation)
            let form = Form("T", fields: [Form.Field("a", kind: .choice(["x"]), initial: "x")], submit: "Go", line: "l")
            let reply = Reply(
                "text", style: .markdown, kind: .error, isPrivate: true, extra: ["x": [:]],
                buttons: [Button("b", line: "l", style: .danger, question: "?")], form: form)
            let address = Address(backend: "fake", place: .direct("~bob"), thread: "t", inReplyTo: "m")
            _ = try await backend.send(reply, to: address)
            let message = try #require(await iterator.next(isolation: #isolation))
            backend.completed(message.id)
            try await backend.replace(MessageReference(id: "m1"), at: address, with: Reply("x"))
            _ = try await backend.send(file: "a.txt", Reply("x"), to: address)
            await #expect(throws: SendFailure.self) { try await backend.send(Reply("gone"), to: address) }
            running.cancel()
            await #expect(throws: CancellationError.self) { try await running.value }
            let methods = try await Self.methods(in: transcript)
            #expect(methods == ["hello", "send", "edit", "send_file", "completed", "deliver", "shutdown"])
        }
    }
}
