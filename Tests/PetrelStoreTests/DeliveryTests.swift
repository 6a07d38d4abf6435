import CoreMetrics
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import PetrelCore
@testable import PetrelStore

/// Tests of delivery with a real store: messages arrive once and in order, even if the backend or the disk fails.
@Suite(.timeLimit(.minutes(30))) struct DeliveryTests {
    struct Refused: Error {}

    static let ops = Address(backend: "test", place: .room("#ops"))
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    static func with(
        _ backend: any ChatBackend, _ store: Store, outbox: (any Outbox)? = nil,
        limits: Delivery.Limits = Delivery.Limits(), clock: any Clock<Duration> = HastyClock(),
        _ body: @Sendable (Delivery) async throws -> Void
    ) async throws {
        let pool = TaskPool()
        let delivery = try Delivery(
            to: [backend], outbox: outbox ?? store.outbox, pool: pool, logger: logger,
            metrics: NOOPMetricsHandler.instance, limits: limits, clock: clock)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await pool.run() }
            try await body(delivery)
            group.cancelAll()
        }
        await store.written()
    }

    static func say(_ texts: some Sequence<String>, _ delivery: Delivery) throws {
        for text in texts { try delivery.say(Reply(text), to: ops, MessageTransaction(), of: "m") }
    }

    private static func numbers(_ count: Int) -> [String] { (0..<count).map { "\($0)" } }

    static func texts(_ count: Int, _ backend: RecordingBackend) async -> [String] {
        var texts: [String] = []
        for _ in 0..<count { texts.append(await backend.next()?.reply.text ?? "") }
        return texts
    }

    @Test func `a backend that fails temporarily gets all messages once and in order`() async throws {
        let backend = RecordingBackend(obstacle: RecordingBackend.failing(20) { Refused() })
        let store = try Store()
        try await Self.with(backend, store) { delivery in
            try Self.say(Self.numbers(100), delivery)
            #expect(await Self.texts(100, backend) == Self.numbers(100))
        }
        #expect(try await store.outbox.pending(in: nil, after: 0, through: .max, limit: 1).isEmpty)
    }

    @Test func `a retry waits for the time that the service asks for`() async throws {
        let clock = HastyClock()
        let backend = RecordingBackend(
            obstacle: RecordingBackend.failing(1) { SendFailure("ratelimited", .later(after: .seconds(37))) })
        try await Self.with(backend, Store(), clock: clock) { delivery in
            try Self.say(["a"], delivery)
            #expect(await backend.next()?.reply.text == "a")
        }
        let sleeps = clock.sleeps.value
        #expect(sleeps.count == 1 && sleeps[0] > .seconds(10) && sleeps[0] <= .seconds(37))
    }

    @Test func `messages that are given up are not sent again, and later ones do not wait for them`() async throws {
        let (failed, begun, isFree) = (Signal(), Signal(), Signal())
        let backend = RecordingBackend { reply, _ in
            switch reply.text {
            case "limited":
                failed.open()
                throw SendFailure("ratelimited", .later(after: .seconds(86_400)))
            case "slow":
                begun.open()
                await isFree.wait()
                throw Refused()
            default: break
            }
        }
        let store = try Store()
        try await Self.with(backend, store, clock: ContinuousClock()) { delivery in
            try Self.say(["limited", "behind"], delivery)
            await failed.wait()
            delivery.giveUp("the time is over")
            #expect(delivery.depth == 0)
            try Self.say(["slow"], delivery)
            await begun.wait()
            delivery.giveUp("the time is over")
            #expect(delivery.depth == 0)
            delivery.answer(Reply("next"), to: Self.ops)
            #expect(delivery.depth == 1)
            isFree.open()
            #expect(await Self.texts(1, backend) == ["next"])
        }
        #expect(try await store.outbox.pending(in: nil, after: 0, through: .max, limit: 9).isEmpty)
    }

    @Test func `without records, a message that can never be sent is not kept`() async throws {
        let backend = RecordingBackend(
            obstacle: RecordingBackend.failing(1) { SendFailure("no such room", .never) })
        let store = try Store(keepsRecords: false)
        var limits = Delivery.Limits()
        limits.keepsDeadLetters = store.keepsRecords
        try await Self.with(backend, store, limits: limits) { delivery in
            try Self.say(["lost", "sent"], delivery)
            #expect(await Self.texts(1, backend) == ["sent"])
        }
        #expect(try await store.outbox.deadLetters(limit: 9).isEmpty)
    }

    @Test func `a new process sends the messages that the old one did not send, and no others`()
        async throws
    {
        let store = try Store()
        let taken = Locked<[String]>([])
        let full = Signal()
        let first = RecordingBackend { reply, _ in
            let count = taken.withLock { taken in
                if taken.count < 40 { taken.append(reply.text) }
                return taken.count
            }
            guard count == 40 else { return }
            if reply.text != "39" {
                full.open()
                throw Refused()
            }
        }
        try await Self.with(first, store) { delivery in
            try Self.say(Self.numbers(100), delivery)
            // A pending answer to a command is stored as well.
            delivery.answer(Reply("answer"), to: Self.ops)
            await full.wait()
        }
        #expect(taken.value == Self.numbers(40))
        let second = RecordingBackend()
        try await Self.with(second, store) { _ in
            #expect(await Self.texts(61, second) == Array(Self.numbers(100).dropFirst(40)) + ["answer"])
        }
    }

    @Test func `an answer is written to the disk only if it cannot be sent at once`() async throws {
        let store = try Store()
        let fails = Locked(false)
        let failed = Signal()
        let backend = RecordingBackend { _, _ in
            guard fails.value else { return }
            failed.open()
            throw Refused()
        }
        try await Self.with(backend, store) { delivery in
            delivery.answer(Reply("quick"), to: Self.ops)
            _ = await backend.next()
            let last = try store.outbox.lastNumber()
            #expect(last == 0)
            fails.withLock { $0 = true }
            delivery.answer(Reply("slow"), to: Self.ops)
            delivery.answer(Reply("secret", isConfidential: true), to: Address(backend: "test", place: .direct("@a")))
            await failed.wait()
        }
        let kept = try await store.outbox.pending(in: nil, after: 0, through: .max, limit: 10)
        #expect(kept.map(\.reply.text) == ["slow"])
    }

    @Test func `a confidential message is not sent to a room where everybody would see it`() async throws {
        for traits in [BackendTraits(), BackendTraits(privateReplies: true)] {
            let backend = RecordingBackend(traits: traits)
            try await Self.with(backend, try Store()) { delivery in
                delivery.answer(Reply("room", isConfidential: true), to: Self.ops)
                delivery.answer(
                    Reply("direct", isConfidential: true), to: Address(backend: "test", place: .direct("@a")))
                delivery.answer(Reply("next"), to: Self.ops)
                let texts = Set(await Self.texts(traits.privateReplies ? 3 : 2, backend))
                #expect(texts == (traits.privateReplies ? ["room", "direct", "next"] : ["direct", "next"]))
            }
        }
    }

    @Test func `the number of in-flight messages is limited`() async throws {
        let store = try Store()
        let held = HeldOutbox(store.outbox)
        let backend = RecordingBackend()
        var limits = Delivery.Limits()
        limits.inFlight = 25
        try await Self.with(backend, store, outbox: held, limits: limits) { delivery in
            try Self.say(Self.numbers(60), delivery)
            #expect(await Self.texts(25, backend) == Self.numbers(25))
            await held.untilHeld(25)
            #expect(delivery.depth == 35)
            held.release()
            #expect(await Self.texts(35, backend) == Array(Self.numbers(60).dropFirst(25)))
        }
    }

    @Test func `a burst is buffered in the store and keeps its order`() async throws {
        let store = try Store()
        let gate = Signal()
        let backend = RecordingBackend { _, _ in await gate.wait() }
        var limits = Delivery.Limits()
        limits.memory = 10
        try await Self.with(backend, store, limits: limits) { delivery in
            try Self.say(Self.numbers(500), delivery)
            #expect(delivery.inMemory <= 11)
            #expect(delivery.depth == 500)
            gate.open()
            #expect(await Self.texts(500, backend) == Self.numbers(500))
            try Self.say(["end"], delivery)
            #expect(await backend.next()?.reply.text == "end")
        }
    }

    @Test func `messages that arrive while the store is read are sent`() async throws {
        let store = try Store()
        let held = HeldOutbox(store.outbox)
        let gate = Signal()
        let backend = RecordingBackend { _, _ in await gate.wait() }
        var limits = Delivery.Limits()
        limits.memory = 10
        try await Self.with(backend, store, outbox: held, limits: limits) { delivery in
            held.release()
            try Self.say(Self.numbers(20), delivery)
            let read = held.holdReading()
            gate.open()
            await read.hasBegun.wait()
            try Self.say((20..<30).map { "\($0)" }, delivery)
            read.mayEnd.open()
            #expect(await Self.texts(30, backend) == Self.numbers(30))
        }
    }

    @Test func `a dead letter that is retried while the store is read is sent once`() async throws {
        let store = try Store()
        for number in [1, 2] as [Int64] {
            _ = store.outbox.add(
                OutboxEntry(number: number, reply: Reply("\(number)"), address: Self.ops, said: .now), nil, of: "m")
        }
        store.outbox.markDead(1, reason: "no such room") {}
        #expect(await store.written())
        #expect(try await store.outbox.retry(1) == 1)
        let held = HeldOutbox(store.outbox)
        let read = held.holdReading()
        // The entry is read as revived and then as pending.
        read.mayEnd.open()
        let backend = RecordingBackend()
        try await Self.with(backend, store, outbox: held) { delivery in
            held.release()
            async let revived: Void = delivery.revive()
            try await revived
            try await delivery.revive()
            try Self.say(["end"], delivery)
            var texts: [String] = []
            while texts.last != "end" { texts.append(await backend.next()?.reply.text ?? "") }
            #expect(texts.sorted() == ["1", "2", "end"])
        }
    }

    @Test func `messages behind an overflow stay in order while writes are failing`() throws {
        var limits = Delivery.Limits()
        limits.memory = 2
        var state = DeliveryState(last: 0, queues: [], limits: limits)
        func add(_ text: String) throws {
            _ = try state.add(Item(Reply(text), Self.ops), isStoredAtOnce: true) { _ in PendingWrite() }
        }
        for number in 1...4 { try add("\(number)") }
        _ = state.advance(isTaking: false)
        try add("5")
        let queue = DeliveryQueue(backend: "test", place: .room("#ops"))
        for number in 1...2 {
            let step = state.next(in: queue)
            guard case .send(let item)? = step else { throw Unexpected() }
            #expect(item.entry.reply.text == "\(number)")
        }
        let step = state.next(in: queue)
        guard case .load(let after, let through)? = step else { throw Unexpected() }
        #expect(after == 2 && through == 5)
    }

    @Test func `messages beyond the limit are rejected with an error`() async throws {
        let gate = Signal()
        let backend = RecordingBackend { _, _ in await gate.wait() }
        var limits = Delivery.Limits()
        limits.total = 10
        try await Self.with(backend, Store(), limits: limits) { delivery in
            try Self.say(Self.numbers(10), delivery)
            #expect(throws: (any Error).self) { try Self.say(["one more"], delivery) }
            gate.open()
            #expect(await Self.texts(10, backend) == Self.numbers(10))
        }
    }

    @Test func `an undeliverable message becomes a dead letter, is reported once, and can be retried`() async throws {
        let store = try Store()
        let isGone = Locked(true)
        let backend = RecordingBackend { _, address in
            if isGone.value, address.place == .room("#gone") { throw SendFailure("no such room", .never) }
        }
        let told = Locked<[String]>([])
        let gone = Address(backend: "test", place: .room("#gone"))
        try await Self.with(backend, store) { delivery in
            delivery.onUndeliverable { queue, reason in told.withLock { $0.append("\(queue.place.id): \(reason)") } }
            for text in ["a", "b"] { try delivery.say(Reply(text), to: gone, MessageTransaction(), of: "m") }
            try Self.say(["end"], delivery)
            #expect(await backend.next()?.reply.text == "end")
            while try await store.outbox.deadLetters(limit: 10).count < 2 { await Task.yield() }
            #expect(told.value == ["#gone: no such room"])
            isGone.withLock { $0 = false }
            #expect(try await store.outbox.retry(nil) == 2)
            try await delivery.revive()
            #expect(await Self.texts(2, backend) == ["a", "b"])
        }
        #expect(try await store.outbox.deadLetters(limit: 10).isEmpty)
        #expect(try await store.outbox.pending(in: nil, after: 0, through: .max, limit: 1).isEmpty)
    }

    @Test func `a full disk neither loses nor repeats a message`() async throws {
        try await WriteQueueTests.withStore { store, _ in
            // A message that is sent before it is written needs no space on the disk.
            let isFull = Signal()
            let backend = RecordingBackend { reply, _ in if reply.text != "before" { await isFull.wait() } }
            try await Self.with(backend, store) { delivery in
                try Self.say(["before"], delivery)
                #expect(await backend.next()?.reply.text == "before")
                #expect(await store.written())
                try WriteQueueTests.fill(store, pages: 0)
                let long = Self.numbers(200).map { $0 + String(repeating: " ", count: 400) }
                try Self.say(long, delivery)
                // The texts do not fit on the disk.
                let isWritten = await store.written()
                #expect(!isWritten)
                isFull.open()
                #expect(await Self.texts(200, backend) == long)
                try WriteQueueTests.fill(store, pages: nil)
                #expect(await store.written())
                try Self.say(["after"], delivery)
                #expect(await backend.next()?.reply.text == "after")
            }
            #expect(try await store.outbox.pending(in: nil, after: 0, through: .max, limit: 1).isEmpty)
        }
    }
}

private struct Unexpected: Error {}
