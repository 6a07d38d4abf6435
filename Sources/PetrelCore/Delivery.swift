package import CoreMetrics
import DequeModule
package import Logging
package import PetrelKit

/// Brings replies to backends: in order for each place, places independent of each other.
package final class Delivery: Sendable {
    private struct Parcel: Sendable {
        var reply: Reply
        var address: Address
        var sent: (@Sendable () -> Void)?
    }

    private struct Lane: Hashable {
        var backend: String
        var place: Address.Place
    }

    /// More than this many waiting in one place make ``say(_:to:)`` wait for room.
    private static let comfortable = 1_000
    private static let attempts = 6

    private let backends: [String: any ChatBackend]
    private let pool: TaskPool
    private let clock: any Clock<Duration>
    private let logger: Logger
    private let lanes = Locked<[Lane: Deque<Parcel>]>([:])
    private let delivered: Counter
    private let undelivered: Counter

    package init(
        to backends: [any ChatBackend], pool: TaskPool, logger: Logger, metrics: any MetricsFactory,
        clock: any Clock<Duration> = ContinuousClock()
    ) {
        self.backends = Dictionary(backends.map { ($0.name, $0) }) { first, _ in first }
        self.pool = pool
        self.logger = logger
        self.clock = clock
        delivered = Counter(label: "petrel_messages_sent_total", dimensions: [], factory: metrics)
        undelivered = Counter(label: "petrel_messages_undelivered_total", dimensions: [], factory: metrics)
    }

    package func backend(_ name: String) -> (any ChatBackend)? { backends[name] }

    package var names: [String] { backends.keys.sorted() }

    /// Replies that wait to be sent.
    package var depth: Int { lanes.withLock { $0.values.reduce(0) { $0 + $1.count } } }

    /// Returns once the reply was sent, or given up.
    package func deliver(_ reply: Reply, to address: Address) async {
        guard reply.saysSomething else { return }
        await withCheckedContinuation { continuation in
            enqueue(Parcel(reply: reply, address: address, sent: { continuation.resume() }))
        }
    }

    /// Returns once the reply is in the queue of its place; waits only when that queue is long.
    /// - Parameter sent: called when the reply was sent, or given up.
    package func say(_ reply: Reply, to address: Address, sent: (@Sendable () -> Void)? = nil) async {
        let lane = Lane(backend: address.backend, place: address.place)
        if lanes.withLock({ $0[lane]?.count ?? 0 }) >= Self.comfortable {
            await deliver(reply, to: address)
            sent?()
        } else if reply.saysSomething {
            enqueue(Parcel(reply: reply, address: address, sent: sent))
        } else {
            sent?()
        }
    }

    private func enqueue(_ parcel: Parcel) {
        let lane = Lane(backend: parcel.address.backend, place: parcel.address.place)
        let isIdle = lanes.withLock { lanes in
            defer { lanes[lane, default: []].append(parcel) }
            return lanes[lane] == nil
        }
        if isIdle { pool.spawn { await self.empty(lane) } }
    }

    /// Sends what waits in one place. The lane stays in the table, even empty, for as long as somebody works on it.
    private func empty(_ lane: Lane) async {
        while let parcel = next(in: lane) {
            await send(parcel)
            parcel.sent?()
        }
    }

    private func next(in lane: Lane) -> Parcel? {
        lanes.withLock { lanes in
            let parcel = lanes[lane]?.popFirst()
            if parcel == nil { lanes[lane] = nil }
            return parcel
        }
    }

    private func send(_ parcel: Parcel) async {
        guard let backend = backends[parcel.address.backend] else {
            undelivered.increment()
            logger.error("No backend is called \(parcel.address.backend): a reply was dropped.")
            return
        }
        let observer = backend as? any CompletionObserving
        if let request = parcel.reply.promises { observer?.promised(request) }
        defer { if let request = parcel.reply.settles { observer?.settled(request) } }
        guard !parcel.reply.text.isEmpty || !parcel.reply.extra.isEmpty else { return }
        var pieces = MessageSplitter.split(parcel.reply.text, atMost: backend.traits.maximumLength)
        let last = pieces.popLast() ?? ""
        for piece in pieces {
            var part = parcel.reply
            part.text = piece
            part.extra = [:]
            guard await attempt(part, parcel.address, backend) else { return }
        }
        var reply = parcel.reply
        reply.text = last
        _ = await attempt(reply, parcel.address, backend)
    }

    private func attempt(_ reply: Reply, _ address: Address, _ backend: any ChatBackend) async -> Bool {
        var policy = ReconnectPolicy(first: .milliseconds(250), longest: .seconds(10))
        var random = SystemRandomNumberGenerator()
        for remaining in (0..<Self.attempts).reversed() {
            do {
                _ = try await backend.send(reply, to: address)
                delivered.increment()
                return true
            } catch {
                let isLast = remaining == 0 || Task.isCancelled
                logger.log(
                    level: isLast ? .error : .warning,
                    "A reply to \(address.place.id) on \(address.backend) was not sent: \(error)\(isLast ? ". It is given up." : "")"
                )
                if isLast { break }
                try? await clock.sleep(for: policy.pause(using: &random))
            }
        }
        undelivered.increment()
        return false
    }
}
