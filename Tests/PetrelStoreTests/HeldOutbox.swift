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
        inner.note(pieces: 0, of: 0) {}
    }

    func remove(_ number: Int64, _ keeping: Keeping?, written: @escaping @Sendable () -> Void) {
        inner.remove(number, keeping) { [held, counts] in
            let count: Int? = held.withLock { held in
                held?.append(written)
                return held?.count
            }
            if let count { counts.continuation.yield(count) } else { written() }
        }
    }

    func observe(_ progress: @escaping @Sendable (_ isTaking: Bool) -> Void) { inner.observe(progress) }
    func lastNumber() throws -> Int64 { try inner.lastNumber() }
    func lanes() throws -> [Lane] { try inner.lanes() }
    func hurry() { inner.hurry() }
    func keep(_ parcel: Parcel, _ receipt: Receipt?, of module: String) -> Keeping {
        inner.keep(parcel, receipt, of: module)
    }
    func note(pieces: Int, of number: Int64, written: @escaping @Sendable () -> Void) {
        inner.note(pieces: pieces, of: number, written: written)
    }
    func bury(_ number: Int64, reason: String, written: @escaping @Sendable () -> Void) {
        inner.bury(number, reason: reason, written: written)
    }
    func waiting(
        in lane: Lane?, after number: Int64, through last: Int64, limit: Int
    ) async throws -> [Parcel] {
        let parcels = try await inner.waiting(in: lane, after: number, through: last, limit: limit)
        let signals = reading.withLock { reading in
            defer { reading = nil }
            return reading
        }
        signals?.hasBegun.open()
        await signals?.mayEnd.wait()
        return parcels
    }
    func revived() async throws -> [Parcel] { try await inner.revived() }
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
