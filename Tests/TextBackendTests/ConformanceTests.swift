import FaultSuite
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import TextBackend

@Suite(.timeLimit(.minutes(30))) struct TextConformanceTests {
    static let recorder = ConformanceRecorder("text")

    @Test(arguments: BackendConformance.cases) func `the text backend conforms`(item: ConformanceCase) async throws {
        let skip = try await Self.recorder.check(item) { body in
            let stage = TextStage()
            defer { stage.close() }
            try await body(stage)
        }
        if let skip { try Test.cancel("\(skip)") }
    }
}

/// A program that chats with the text backend in JSON lines, over pipes.
final class TextStage: ConformanceStage {
    let abilities: Set<ConformanceAbility> = [
        .rooms, .direct, .people, .threads, .privateReplies, .redelivery, .naming, .restarting,
    ]
    let rooms = ["#ops", "#dev", "#sec"]
    let people = ["@alice", "@bob"]
    let backend: any ChatBackend
    private let input: FileHandle
    private let lines: LineCollector
    private let said = Locked<[(line: String, person: String)]>([])

    init() {
        let (input, output) = (Pipe(), Pipe())
        self.input = input.fileHandleForWriting
        var settings = TextSettings()
        settings.format = .jsonl
        backend = TextBackend(
            name: "text", settings: settings, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            from: input.fileHandleForReading, to: StandardStream(output.fileHandleForWriting))
        // The output ends when the backend no longer exists, and with it the thread of the collector.
        lines = LineCollector(output.fileHandleForReading)
        lines.begin()
    }

    /// Ends the input of the backend.
    func close() {
        do { try input.close() } catch { Issue.record(error) }
    }

    func untilConnected() async throws {}

    func say(_ text: String, as person: String, in room: String?, thread: String?) async throws -> String {
        let (id, line) = try said.withLock { said in
            let id = "\(said.count)"
            let message: JSONValue = [
                "id": .string(id), "from": .string(person), "room": room.map { .string($0) } ?? .null,
                "thread": thread.map { .string($0) } ?? .null, "text": .string(text),
            ]
            let bytes: [UInt8] = try JSONValue.encode(message)
            let line = String(decoding: bytes, as: UTF8.self)
            said.append((line, person))
            return (id, line)
        }
        try write(line)
        return id
    }

    func redeliver(_ message: String) async throws {
        guard let number = Int(message) else { return }
        try write(said.withLock { $0[number].line })
    }

    private func write(_ line: String) throws {
        try input.write(contentsOf: Data((line + "\n").utf8))
    }

    func next(within limit: Duration) async throws -> ConformanceShown? {
        let end = ContinuousClock.now + limit
        while let line = await lines.next(within: end - .now) {
            let json = try JSONValue.parse(line.utf8)
            // A line that was rejected, such as a duplicate.
            guard let text = json["text"]?.string else { continue }
            let asker = json["in_reply_to"]?.string.flatMap { Int($0) }.map { id in said.withLock { $0[id].person } }
            let place = json["room"]?.string.map { Address.Place.room($0) } ?? .direct(json["to"]?.string ?? "")
            let isPrivate = !place.isDirect && json["private"]?.bool == true
            return ConformanceShown(
                text, at: place, thread: json["thread"]?.string, reader: isPrivate ? asker ?? "unknown" : nil)
        }
        return nil
    }
}
