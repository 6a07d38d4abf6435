import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import PetrelCore
@testable import PetrelStore

/// Tests of what is sent: texts that are merged, late or long.
extension DeliveryTests {
    @Test func `pending texts are merged if the backend supports it`() async throws {
        let store = try Store()
        let isFirst = Locked(true)
        let allIsSaid = Signal()
        let backend = RecordingBackend(traits: BackendTraits(mergesBursts: true, maximumLength: 400)) { reply, _ in
            if isFirst.withLock({ first in
                defer { first = false }
                return first
            }) {
                await allIsSaid.wait()
                throw SendFailure("busy", .later(after: .seconds(1)))
            }
            if reply.text.contains("bad") { throw SendFailure("no", .never) }
        }
        try await Self.with(backend, store) { delivery in
            func say(_ text: String, thread: String? = nil, age: Duration = .zero) throws {
                let address = Address(backend: "test", place: .room("#ops"), thread: thread)
                try delivery.say(Reply(text), to: address, MessageTransaction(age: age), of: "m")
            }
            for number in 0..<5 { try say("\(number)") }
            try say("late", age: .seconds(600))
            for number in 5..<7 { try say("\(number)", thread: "t") }
            try delivery.say(Reply("private", isPrivate: true), to: Self.ops, MessageTransaction(), of: "m")
            for text in ["good", "bad", "better", String(repeating: "x", count: 380), "end"] { try say(text) }
            allIsSaid.open()
            let texts = await Self.texts(8, backend)
            #expect(
                texts.prefix(5) == ["0\n1\n2\n3\n4\n(10 min late) late", "5\n6", "private", "good", "better"])
            #expect(texts[5] + texts[6] == String(repeating: "x", count: 380) && texts[7] == "end")
        }
        #expect(try await store.outbox.deadLetters(limit: 10).map(\.entry.reply.text) == ["bad"])
        #expect(try await store.outbox.pending(in: nil, after: 0, through: .max, limit: 1).isEmpty)
    }

    @Test func `a late message contains its delay`() async throws {
        let backend = RecordingBackend()
        try await Self.with(backend, Store()) { delivery in
            try delivery.say(Reply("result"), to: Self.ops, MessageTransaction(age: .seconds(600)), of: "m")
            try delivery.say(Reply("fresh"), to: Self.ops, MessageTransaction(age: .seconds(3)), of: "m")
            #expect(await Self.texts(2, backend) == ["(10 min late) result", "fresh"])
        }
    }

    @Test func `a message from the future, before the clock was set back, is not late`() async throws {
        let store = try Store()
        let entries = [(1, 3_600.0), (2, -600)] as [(Int64, Double)]
        for (number, ahead) in entries {
            let entry = OutboxEntry(
                number: number, reply: Reply("\(number)"), address: Self.ops, said: Date(timeIntervalSinceNow: ahead))
            _ = store.outbox.add(entry, nil, of: "m")
        }
        #expect(await store.written())
        let backend = RecordingBackend()
        try await Self.with(backend, store) { _ in
            #expect(await Self.texts(2, backend) == ["1", "(10 min late) 2"])
        }
    }

    @Test func `a long text continues with the first unsent piece`() async throws {
        let store = try Store()
        let lines = (0..<20).map { "line \($0)" }
        let pieces = Locked<[String]>([])
        let cut = Signal()
        func backend(failing: Int?) -> RecordingBackend {
            RecordingBackend(traits: BackendTraits(maximumLength: 40)) { reply, _ in
                if pieces.value.count == failing {
                    cut.open()
                    throw Refused()
                }
                pieces.withLock { $0.append(reply.text) }
            }
        }
        try await Self.with(backend(failing: 3), store) { delivery in
            try Self.say([lines.joined(separator: "\n")], delivery)
            await cut.wait()
        }
        #expect(pieces.value.count == 3)
        let second = backend(failing: nil)
        try await Self.with(second, store) { delivery in
            try Self.say(["end"], delivery)
            while await second.next()?.reply.text != "end" {}
        }
        #expect(pieces.value.dropLast().joined(separator: "\n").split(separator: "\n").map(String.init) == lines)
    }

    @Test func `a text with many lines is sent in pieces where a line costs a message`() async throws {
        let backend = RecordingBackend(traits: BackendTraits(maximumLines: 3))
        try await Self.with(backend, Store()) { delivery in
            try Self.say([(1...7).map { "\($0)" }.joined(separator: "\n")], delivery)
            #expect(await Self.texts(2, backend) == ["1\n2\n3\n4\n5\n6", "7"])
        }
    }

    @Test func `a very long text is sent as a file if the backend supports it`() async throws {
        let backend = FilingBackend()
        try await Self.with(backend, Store()) { delivery in
            try Self.say([String(repeating: "line\n", count: 100)], delivery)
            #expect(await backend.file.first { _ in true }?.count == 500)
        }
    }
}
