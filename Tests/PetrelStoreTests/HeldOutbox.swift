import PetrelKit
import PetrelSupport

@testable import PetrelStore

/// An outbox that delays the confirmations of removals until ``release()``.
final class HeldOutbox: Outbox {
    private let inner: StoredOutbox
    private let held = Locked<[@Sendable () -> Void]?>([])
    private let counts = AsyncStream.makeStream(of: Int.self)
    private let reading = Locked<(hasBegun: Signal, mayEnd: Signal)?>(nil)

    init(_ inner: StoredOutbox) {
        self.inner = inner
    }

    /// Delays the next read of pending entries until the second signal is opened.
    func holdReading() -> (hasBegun: Signal, mayEnd: Signal) {
        let signals = (hasBegun: Signal(), mayEnd: Signal())
        reading.withLock { $0 = signals }
        return signals
    }

    func untilHeld(_ count: Int) async { for await held in counts.stream where held >= count { return } }

    func release() {
        let all = held.withLock { held in
            defer { held = nil }
            return held ?? []
        }
        for written in all { written() }
        // Any further write notifies the observers.
        inner.update(pieces: 0, of: 0) {}
    }

    func remove(_ number: Int64, _ pendingWrite: PendingWrite?, written: @escaping @Sendable () -> Void) {
        inner.remove(number, pendingWrite) { [held, counts] in
            let count: Int? = held.withLock { held in
                held?.append(written)
                return held?.count
            }
            if let count { counts.continuation.yield(count) } else { written() }
        }
    }

    func observe(_ progress: @escaping @Sendable (_ isTaking: Bool) -> Void) { inner.observe(progress) }
    func lastNumber() throws -> Int64 { try inner.lastNumber() }
    func queues() throws -> [DeliveryQueue] { try inner.queues() }
    func flush() async { await inner.flush() }
    func add(_ entry: OutboxEntry, _ transaction: MessageTransaction?, of module: String) -> PendingWrite {
        inner.add(entry, transaction, of: module)
    }
    func update(pieces: Int, of number: Int64, written: @escaping @Sendable () -> Void) {
        inner.update(pieces: pieces, of: number, written: written)
    }
    func markDead(_ number: Int64, reason: String, written: @escaping @Sendable () -> Void) {
        inner.markDead(number, reason: reason, written: written)
    }
    func pending(
        in queue: DeliveryQueue?, after number: Int64, through last: Int64, limit: Int
    ) async throws -> [OutboxEntry] {
        let entries = try await inner.pending(in: queue, after: number, through: last, limit: limit)
        let signals = reading.withLock { reading in
            defer { reading = nil }
            return reading
        }
        signals?.hasBegun.open()
        await signals?.mayEnd.wait()
        return entries
    }
    func takeRevived() async throws -> [OutboxEntry] { try await inner.takeRevived() }
}

final class FilingBackend: FileSending {
    let name = "test"
    let traits = BackendTraits(files: true, maximumLength: 50)
    let file: AsyncStream<String>
    private let continuation: AsyncStream<String>.Continuation

    init() {
        (file, continuation) = AsyncStream.makeStream()
    }

    func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {}

    func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        throw SendFailure("this is no file", .never)
    }

    func send(file name: String, _ reply: Reply, to address: Address) async throws -> MessageReference? {
        continuation.yield(reply.text)
        return nil
    }
}
