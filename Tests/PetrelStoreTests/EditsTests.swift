import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import PetrelCore
@testable import PetrelStore

/// Tests of replacing messages that were sent or are being sent.
@Suite(.timeLimit(.minutes(30))) struct EditsTests {
    private static let traits = BackendTraits(edits: true, maximumLength: 200)
    private static let marks = DeliveryMarks(handle: "h")

    private static func say(_ text: String, _ delivery: Delivery) throws {
        try delivery.say(Reply(text), to: DeliveryTests.ops, marks: marks, MessageTransaction(), of: "m")
    }

    @Test func `of several replacements before the message is sent, only the last takes effect`() async throws {
        let sending = Signal()
        let mayEnd = Signal()
        let backend = RecordingBackend(traits: Self.traits) { reply, _ in
            guard reply.text == "start" else { return }
            sending.open()
            await mayEnd.wait()
        }
        try await DeliveryTests.with(backend, Store()) { delivery in
            try Self.say("start", delivery)
            await sending.wait()
            for text in ["one", "two", "three"] { delivery.replace("h", with: Reply(text), on: "test") }
            mayEnd.open()
            let start = await backend.next()
            let end = await backend.next()
            #expect(start?.reply.text == "start" && start?.isReplacement == false)
            #expect(end?.reply.text == "three" && end?.isReplacement == true)
            #expect(end?.message == start?.message && end?.address == DeliveryTests.ops)
            delivery.replace("h", with: Reply("four"), on: "test")
            #expect(await backend.next()?.reply.text == "four")
        }
    }

    @Test func `a message is replaced by its stored reference after a restart`() async throws {
        let stored = Locked<SentMessage?>(nil)
        let backend = RecordingBackend(traits: Self.traits)
        try await DeliveryTests.with(backend, Store()) { delivery in
            delivery.remember("h", on: "test") { message in stored.withLock { $0 = message } }
            try Self.say("start", delivery)
            let start = await backend.next()
            // An update is sent after the reference was told.
            delivery.replace("h", with: Reply("one"), on: "test")
            _ = await backend.next()
            #expect(stored.value?.message == start?.message && stored.value?.address == DeliveryTests.ops)
        }
        let message = try #require(stored.value)
        let later = RecordingBackend(traits: Self.traits)
        try await DeliveryTests.with(later, Store()) { delivery in
            let isSettled = Signal()
            delivery.recall(message, as: "h")
            delivery.replace("h", with: Reply("end"), on: "test") { isSettled.open() }
            let end = await later.next()
            #expect(end?.reply.text == "end" && end?.isReplacement == true && end?.message == message.message)
            await isSettled.wait()
        }
    }

    @Test(arguments: [(SendFailure.Remedy.never, true), (.later(after: nil), false)])
    func `a replacement is settled if it is impossible, and not if the service cannot be reached`(
        remedy: SendFailure.Remedy, isSettled: Bool
    ) async throws {
        let backend = RecordingBackend(traits: Self.traits) { reply, _ in
            if reply.text == "one" { throw SendFailure("refused", remedy) }
        }
        try await DeliveryTests.with(backend, Store(), clock: HastyClock()) { delivery in
            let calls = Locked<[String]>([])
            let settled = Signal()
            try Self.say("start", delivery)
            _ = await backend.next()
            delivery.replace("h", with: Reply("one"), on: "test") {
                calls.withLock { $0.append("one") }
                settled.open()
            }
            if isSettled { return await settled.wait() }
            // Of the next replacement, the outcome is told after that of the first one.
            let message = SentMessage(MessageReference(id: "m1"), at: DeliveryTests.ops)
            delivery.recall(message, as: "other")
            delivery.replace("other", with: Reply("two"), on: "test") {
                calls.withLock { $0.append("two") }
                settled.open()
            }
            await settled.wait()
            #expect(calls.value == ["two"])
        }
    }

    @Test(arguments: [
        (SendFailure.Remedy.later(after: .seconds(37)), 2, ["start", "one"]),
        (.later(after: nil), 3, ["start", "two"]),
        (.never, 1, ["start", "two"]),
    ])
    func `a replacement is retried only if that can help`(
        remedy: SendFailure.Remedy, failures: Int, texts: [String]
    ) async throws {
        let clock = HastyClock()
        let left = Locked(failures)
        let gaveUp = Signal()
        let backend = RecordingBackend(traits: Self.traits) { reply, _ in
            guard reply.text == "one", left.value > 0 else { return }
            left.withLock { $0 -= 1 }
            if left.value == 0 { gaveUp.open() }
            throw SendFailure("refused", remedy)
        }
        try await DeliveryTests.with(backend, Store(), clock: clock) { delivery in
            try Self.say("start", delivery)
            var got = [await backend.next()?.reply.text ?? ""]
            delivery.replace("h", with: Reply("one"), on: "test")
            await gaveUp.wait()
            if texts[1] == "two" { delivery.replace("h", with: Reply("two"), on: "test") }
            got.append(await backend.next()?.reply.text ?? "")
            #expect(got == texts)
        }
        if case .later(let pause?) = remedy {
            #expect(clock.sleeps.value.contains { $0 > .seconds(30) && $0 <= pause })
        }
    }

    @Test func `a message in several pieces, one without a handle and one of another run are left alone`()
        async throws
    {
        let backend = RecordingBackend(traits: Self.traits)
        try await DeliveryTests.with(backend, Store()) { delivery in
            let long = Array(repeating: "0123456789 0123456789", count: 20).joined(separator: "\n")
            try Self.say(long, delivery)
            var pieces = ""
            while pieces.unicodeScalars.count < long.unicodeScalars.count {
                pieces += try #require(await backend.next()).reply.text + "\n"
            }
            delivery.replace("h", with: Reply("short"), on: "test")
            delivery.replace("unknown", with: Reply("short"), on: "test")
            delivery.replace("h", with: Reply("short"), on: "no such backend")
            try delivery.say(Reply("last"), to: DeliveryTests.ops, MessageTransaction(), of: "m")
            #expect(await backend.next()?.reply.text == "last")
        }
    }

    @Test func `an answer replaces a message`() async throws {
        let backend = RecordingBackend(traits: Self.traits)
        try await DeliveryTests.with(backend, Store()) { delivery in
            try Self.say("Looking…", delivery)
            delivery.answer(Reply("found"), replacing: "h", at: DeliveryTests.ops)
            let notice = await backend.next()
            let answer = await backend.next()
            #expect(answer?.reply.text == "found" && answer?.isReplacement == true)
            #expect(answer?.message == notice?.message)
        }
    }

    @Test func `an answer is sent as a message if the other one cannot be replaced`() async throws {
        let refusals = RecordingBackend.failing(1) { SendFailure("too old", .never) }
        let backend = RecordingBackend(traits: Self.traits) { reply, address in
            if reply.text == "found" { try await refusals(reply, address) }
        }
        try await DeliveryTests.with(backend, Store()) { delivery in
            try Self.say("Looking…", delivery)
            #expect(await backend.next()?.reply.text == "Looking…")
            delivery.answer(Reply("found"), replacing: "h", at: DeliveryTests.ops)
            let answer = await backend.next()
            #expect(answer?.reply.text == "found" && answer?.isReplacement == false)
            // A message in several pieces, before and after it was sent.
            let long = Array(repeating: "0123456789 0123456789", count: 20).joined(separator: "\n")
            try delivery.say(
                Reply(long), to: DeliveryTests.ops, marks: DeliveryMarks(handle: "l"), MessageTransaction(), of: "m")
            delivery.answer(Reply("early"), replacing: "l", at: DeliveryTests.ops)
            var texts: [String] = []
            while texts.last != "early" { texts.append(try #require(await backend.next()).reply.text) }
            delivery.answer(Reply("late"), replacing: "l", at: DeliveryTests.ops)
            #expect(await backend.next()?.reply.text == "late")
        }
    }

    @Test func `an answer is sent as a message if the other one can never be sent, or the backend does not edit`()
        async throws
    {
        for edits in [true, false] {
            var traits = Self.traits
            traits.edits = edits
            let backend = RecordingBackend(traits: traits) { reply, _ in
                if edits, reply.text == "Looking…" { throw SendFailure("refused", .never) }
            }
            try await DeliveryTests.with(backend, Store()) { delivery in
                try Self.say("Looking…", delivery)
                delivery.answer(Reply("found"), replacing: "h", at: DeliveryTests.ops)
                if !edits { #expect(await backend.next()?.reply.text == "Looking…") }
                let answer = await backend.next()
                #expect(answer?.reply.text == "found" && answer?.isReplacement == false)
            }
        }
    }
}
