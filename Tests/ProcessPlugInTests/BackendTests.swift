import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import PlugInProtocol
import ProcessBackend
import Testing

@Suite(.timeLimit(.minutes(30))) struct BackendTests {
    private static func backend(
        _ faults: [String] = [], logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ) -> ProcessBackend {
        ProcessBackend(
            FakePlugIn.launch("backend", faults), version: "1", limits: FakePlugIn.limits, logger: logger)
    }

    /// Runs a backend and the body, which receives the delivered messages.
    private static func run(
        _ backend: ProcessBackend,
        _ body: @Sendable @escaping (inout AsyncStream<ChatMessage>.Iterator) async throws -> Void
    ) async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: ChatMessage.self)
        let running = Task { try await backend.run { continuation.yield($0) } }
        defer { running.cancel() }
        var messages = stream.makeAsyncIterator()
        #expect(await messages.next(isolation: #isolation)?.text == "ready")
        try await body(&messages)
        running.cancel()
        await #expect(throws: CancellationError.self) { try await running.value }
    }

    @Test func `Whatever has no sigil can be an id of a program, so that check does not doubt it`() {
        let names = ProcessBackendPlugIn.facts.names
        for text in ["U1", "alice", "7"] { #expect(names.isID(text, .person)) }
        for text in ["@alice", "#ops", ""] { #expect(!names.isID(text, .person)) }
    }

    private static let ops = Address(backend: "fake", place: .room("!ops"), thread: "t", inReplyTo: "m")

    @Test func `replies reach the program, and its messages are delivered once`() async throws {
        let backend = Self.backend()
        try await Self.run(backend) { messages in
            let reply = Reply("hello", style: .markdown)
            #expect(try await backend.send(reply, to: Self.ops) == MessageReference(id: "m1"))
            let sent = try #require(await messages.next(isolation: #isolation))
            #expect(sent.text == "send" && sent.sender == Person(id: "~bob", name: "@bob"))
            #expect(sent.room == Room(id: "!ops", name: "#ops", isPrivate: true))
            let params = try JSONValue.parse(sent.id.utf8)
            #expect(params["to"] == ["room": "!ops", "thread": "t", "in_reply_to": "m"])
            #expect(params["reply"] == ["text": "hello", "style": "markdown"])
            // The program delivers under the same id again.
            _ = try await backend.send(reply, to: Self.ops)
            try await backend.replace(MessageReference(id: "m1"), at: Self.ops, with: Reply("x"))
            #expect(await messages.next(isolation: #isolation)?.text == "edit")
            _ = try await backend.send(file: "a.txt", Reply("y"), to: Self.ops)
            #expect(await messages.next(isolation: #isolation)?.text == "send_file")
        }
    }

    @Test func `errors of the program carry their remedy`() async throws {
        let backend = Self.backend()
        await #expect { try await backend.send(Reply("x"), to: Self.ops) } throws: {
            ($0 as? SendFailure)?.remedy == .later(after: nil) && "\($0)".contains("has not started yet")
        }
        try await Self.run(backend) { _ in
            await #expect { try await backend.send(Reply("gone"), to: Self.ops) } throws: {
                ($0 as? SendFailure)?.remedy == .never && "\($0)" == "there is no such room"
            }
            await #expect { try await backend.send(Reply("later"), to: Self.ops) } throws: {
                ($0 as? SendFailure)?.remedy == .later(after: .seconds(7))
            }
        }
    }

    @Test func `names are claimed by their prefix`() async throws {
        let backend = Self.backend()
        #expect(backend.claim("!ops") == .possible(.room("!ops")))
        try await Self.run(backend) { _ in
            #expect(backend.claim("!ops") == .own(.room("!ops")))
            #expect(backend.claim("~bob") == .own(.direct("~bob")))
            #expect(backend.claim("@bob") == .possible(.direct("@bob")))
            #expect(backend.claim("#ops") == .possible(.room("#ops")))
        }
    }

    @Test func `a program that dies fails the run, and messages wait for the next one`() async throws {
        let backend = Self.backend()
        let isReady = Signal()
        let running = Task { try await backend.run { _ in isReady.open() } }
        await isReady.wait()
        await #expect { try await backend.send(Reply("do die"), to: Self.ops) } throws: {
            ($0 as? SendFailure)?.remedy == .later(after: nil)
        }
        let failure = await #expect(throws: BackendFailure.self) { try await running.value }
        #expect(failure?.message == "the plug-in ended with status 3" && failure?.isFinal == false)
        await #expect(throws: SendFailure.self) { try await backend.send(Reply("x"), to: Self.ops) }
        try await Self.run(backend) { messages in
            let message = try await backend.send(Reply("x"), to: Self.ops)
            #expect(message == MessageReference(id: "m1"))
        }
    }

    @Test(arguments: [("refuse", true), ("die-at-start", false), ("old", true)])
    func `a program that cannot start fails the run`(fault: String, isFinal: Bool) async throws {
        let failure = await #expect(throws: BackendFailure.self) { try await Self.backend([fault]).run { _ in } }
        #expect(failure?.isFinal == isFinal)
    }

    @Test func `a run that is cancelled at once ends the program`() async throws {
        let running = Task { try await Self.backend().run { _ in } }
        running.cancel()
        await #expect(throws: CancellationError.self) { try await running.value }
    }

    @Test func `a cancelled run ends a program that starts`() async throws {
        let lines = Mailbox<String>()
        let backend = Self.backend(
            ["hang-at-start"], logger: Logger(label: "test") { _ in CollectingLogHandler { lines.put($0) } })
        let running = Task { try await backend.run { _ in } }
        while let line = await lines.next() { if line.contains("hanging at the start") { break } }
        running.cancel()
        await #expect(throws: CancellationError.self) { try await running.value }
    }

    @Test func `a cancelled run ends a program that runs`() async throws {
        try await Self.run(Self.backend()) { _ in }
    }
}
