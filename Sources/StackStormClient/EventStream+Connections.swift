import AsyncHTTPClient
import NIOCore
import PetrelSupport

/// The connections and the timer of one run of ``EventStream``. They report what happens to a queue.
struct EventStreamConnections {
    private struct Reader {
        let task: Task<Void, Never>
        /// Allows the task to read one more chunk.
        let permits: AsyncStream<Void>.Continuation
    }

    private let client: StackStormClient
    private let events: [String]
    private let queue: AsyncStream<EventStreamState.Event>.Continuation
    private var readers: [Int: Reader] = [:]
    private var timer: (deadline: ContinuousClock.Instant, scheduled: Scheduled<Void>)?

    init(
        _ client: StackStormClient, events: [String], queue: AsyncStream<EventStreamState.Event>.Continuation
    ) {
        self.client = client
        self.events = events
        self.queue = queue
    }

    mutating func open(_ number: Int) {
        let (permitted, permits) = AsyncStream.makeStream(of: Void.self)
        permits.yield()
        let task = Task(executorPreference: client.loop) { [client, events, queue] in
            let error = await Self.read(number, permitted, client, events, queue)
            queue.yield(.ended(number, error))
        }
        readers[number] = Reader(task: task, permits: permits)
    }

    func close(_ number: Int) { readers[number]?.task.cancel() }

    func read(_ number: Int) { readers[number]?.permits.yield() }

    /// Forgets a connection that has ended.
    mutating func forget(_ number: Int) { readers[number] = nil }

    /// Reports the time once, at the deadline or earlier.
    mutating func wake(at deadline: ContinuousClock.Instant?) {
        // Each byte moves the deadline to a later time. A timer that fires too early is cheaper than one for each byte.
        if let deadline, let timer, timer.deadline <= deadline { return }
        dropTimer()
        timer = deadline.map { deadline in
            let delay = TimeAmount(max(.zero, deadline - .now))
            return (deadline, client.loop.eventLoop.scheduleTask(in: delay) { [queue] in _ = queue.yield(.time) })
        }
    }

    /// Forgets the timer when it has fired, which it may do slightly before the deadline.
    mutating func dropTimer() {
        timer?.scheduled.cancel()
        timer = nil
    }

    /// Closes all connections and waits for their ends.
    mutating func end() async {
        dropTimer()
        for reader in readers.values { reader.task.cancel() }
        for reader in readers.values { await reader.task.value }
        readers = [:]
    }

    /// Reads a connection to its end, and returns the reason for the end.
    private static func read(
        _ number: Int, _ permitted: AsyncStream<Void>, _ client: StackStormClient, _ events: [String],
        _ queue: AsyncStream<EventStreamState.Event>.Continuation
    ) async -> StackStormError {
        do {
            let target = "/stream?events=" + events.joined(separator: ",")
            let (body, time) = try await client.withCredential { headers in
                try await client.transport.openStream(target: target, headers: headers)
            }
            queue.yield(.answered(number, time: time))
            var parser = ServerSentEventParser()
            var chunks = body.makeAsyncIterator()
            for await _ in permitted {
                guard let chunk = try await chunks.next() else {
                    return StackStormError(.noAnswer, "StackStorm closed the stream")
                }
                var items: [ServerSentEventParser.Item] = []
                chunk.withUnsafeReadableBytes { parser.feed($0, into: &items) }
                queue.yield(.received(number, items))
            }
            return StackStormError(.noAnswer, "the stream was left")
        } catch {
            return error as? StackStormError ?? StackStormError(.noAnswer, "\(error)")
        }
    }
}
