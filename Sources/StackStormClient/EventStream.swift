import Foundation
import Logging
public import PetrelSupport

/// A reader of StackStorm's event stream (`GET /stream`) that reconnects after errors and replaces silent connections.
///
/// A filtered stream can be silent for minutes on a busy StackStorm, because events that are filtered out delay its
/// heartbeat. Silence therefore does not prove that a connection is dead. After 40 s without a byte
/// (``StackStormSettings/Limits/silence``), a second connection is opened, and it replaces the first one when it has
/// received data. ``EventStreamState`` makes these decisions.
public final class EventStream: Sendable {
    /// The state of the stream.
    public struct Health: Sendable, Equatable {
        /// True while a connection is open.
        public var isConnected = false
        /// The number of connections that were used since the start.
        public var connections = 0
        /// The number of events that were skipped because of their size.
        public var oversized = 0
        /// The number of silent connections that were replaced.
        public var renewals = 0
        /// The time of the last byte that was received and handled, or nil before the first connection.
        public var lastByte: ContinuousClock.Instant?
        /// The current problem, or nil if none exists.
        public var problem: String?
    }

    /// A signal that opens when the first attempt to connect has succeeded or failed.
    public let attempted = Signal()

    private let client: StackStormClient
    private let events: [String]
    private let health = Locked(Health())
    private let pauses: @Sendable (_ failures: Int) -> Duration

    /// Creates a reader. Call ``run(connected:handle:)`` to connect.
    ///
    /// - Parameters:
    ///   - client: The client whose settings and login are used.
    ///   - events: The names of the events to receive. They can contain `*`, such as `st2.announcement__*`.
    ///   - pauses: A function that returns the pause after a number of successive failures.
    public init(
        _ client: StackStormClient, events: [String],
        pauses: @escaping @Sendable (Int) -> Duration = EventStream.growing
    ) {
        self.client = client
        self.events = events
        self.pauses = pauses
    }

    /// The current state.
    public var currentHealth: Health { health.value }

    /// An exponential backoff with jitter, from at most 500 ms to at most 30 s.
    public static let growing: @Sendable (Int) -> Duration = { failures in
        .milliseconds(min(500 << min(max(failures - 1, 0), 6), 30_000)) * Double.random(in: 0.5...1)
    }

    /// Reads the stream until the task is cancelled.
    ///
    /// - Parameters:
    ///   - connected: A closure that is called after each connect with the time by StackStorm's clock. Events before
    ///     that time were missed, unless the previous connection has received them.
    ///   - handle: A closure that is called with each event, one after the other. It is not called again for an event
    ///     that two overlapping connections have received.
    public func run(
        connected: @escaping @Sendable (StackStormTime?) async -> Void,
        handle: @escaping @Sendable (ServerSentEvent) async -> Void
    ) async {
        // The thread that reads events also handles them, so that no other thread has to wake up.
        await withTaskExecutorPreference(client.loop) {
            let (events, queue) = AsyncStream.makeStream(of: EventStreamState.Event.self)
            let limits = client.settings.limits
            var run = Run(
                state: EventStreamState(
                    .init(answer: limits.answer, silence: limits.silence), health: health.value, at: .now,
                    pauses: pauses),
                connections: EventStreamConnections(client, events: self.events, queue: queue),
                connected: connected, handle: handle)
            queue.yield(.time)
            for await event in events where !Task.isCancelled {
                switch event {
                case .time: run.connections.dropTimer()
                case .ended(let number, _): run.connections.forget(number)
                case .answered, .received, .handled, .cancelled: break
                }
                await take(event, &run)
                run.connections.wake(at: run.state.deadline)
            }
            await take(.cancelled, &run)
            await run.connections.end()
        }
    }

    private struct Run {
        var state: EventStreamState
        var connections: EventStreamConnections
        let connected: @Sendable (StackStormTime?) async -> Void
        let handle: @Sendable (ServerSentEvent) async -> Void
    }

    private func take(_ event: EventStreamState.Event, _ run: inout Run) async {
        let actions = run.state.take(event, at: .now)
        health.withLock { [health = run.state.health] in $0 = health }
        for action in actions {
            switch action {
            case .open(let number): run.connections.open(number)
            case .close(let number): run.connections.close(number)
            case .read(let number): run.connections.read(number)
            case .connected(let time): await run.connected(time)
            case .attempted: attempted.open()
            case .handle(let events, let number):
                await pass(events, to: run.handle)
                await take(.handled(number), &run)
            case .skipped(let name, let bytes):
                client.logger.error("An event \(name) of more than \(bytes) bytes was skipped.")
            case .retry(let error, let pause):
                client.logger.warning(
                    "The event stream was interrupted: \(error). The next attempt is in \(pause.formatted(.units(allowed: [.seconds], fractionalPart: .show(length: 1))))."
                )
            }
        }
    }

    /// The number of events that are handled before other tasks on the same thread may run.
    private static let turn = 25

    private func pass(_ events: [ServerSentEvent], to handle: @Sendable (ServerSentEvent) async -> Void) async {
        for (number, event) in events.enumerated() {
            // During a burst, other tasks must be able to send replies and process commands.
            if number % Self.turn == Self.turn - 1 { await Task.yield() }
            await handle(event)
        }
    }
}
