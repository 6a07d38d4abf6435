import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
package import PetrelSupport

/// A reader of StackStorm's event stream (`GET /stream`) that reconnects after errors and replaces silent connections.
///
/// A filtered stream can be silent for minutes on a busy StackStorm, because events that are filtered out delay its
/// heartbeat. Silence therefore does not prove that a connection is dead. After 40 s without a byte
/// (``StackStormSettings/Limits/silence``), a second connection is opened, and it replaces the first one when it has
/// received data.
package final class EventStream: Sendable {
    /// The state of the stream.
    package struct Health: Sendable, Equatable {
        /// True while a connection is open.
        package var isConnected = false
        /// The number of connections that were used since the start.
        package var connections = 0
        /// The number of events that were skipped because of their size.
        package var oversized = 0
        /// The number of silent connections that were replaced.
        package var renewals = 0
        /// The time of the last byte that was received and handled, or nil before the first connection.
        package var lastByte: ContinuousClock.Instant?
        /// The current problem, or nil if there is none.
        package var problem: String?
        /// True while received events are being handled.
        var isHandling = false
    }

    /// A signal that opens when the first attempt to connect has succeeded or failed.
    package let attempted = Signal()

    private let client: StackStormClient
    private let events: [String]
    private let health = Locked(Health())
    /// The events that were handled since another connection is being opened, or nil if none is.
    private let handedOver = Locked<[ServerSentEvent]?>(nil)
    private let clock: any Clock<Duration>
    private let pauses: @Sendable (_ failures: Int) -> Duration

    /// Creates a reader. Call ``run(connected:handle:)`` to connect.
    ///
    /// - Parameters:
    ///   - client: The client whose settings and login are used.
    ///   - events: The names of the events to receive. They can contain `*`, such as `st2.announcement__*`.
    ///   - clock: The clock for pauses.
    ///   - pauses: A function that returns the pause after a number of successive failures.
    package init(
        _ client: StackStormClient, events: [String], clock: any Clock<Duration> = ContinuousClock(),
        pauses: @escaping @Sendable (Int) -> Duration = EventStream.growing
    ) {
        self.client = client
        self.events = events
        self.clock = clock
        self.pauses = pauses
    }

    /// The current state.
    package var currentHealth: Health { health.value }

    /// An exponential backoff with jitter, from at most 500 ms to at most 30 s.
    package static let growing: @Sendable (Int) -> Duration = { failures in
        .milliseconds(min(500 << min(max(failures - 1, 0), 6), 30_000)) * Double.random(in: 0.5...1)
    }

    /// Reads the stream until the task is cancelled.
    ///
    /// - Parameters:
    ///   - connected: A closure that is called after each connect with the time by StackStorm's clock. Events before
    ///     that
    ///     time were missed, unless the previous connection has received them.
    ///   - handle: A closure that is called with each event, one after the other. It is not called again for an event
    ///     that
    ///     two overlapping connections have received.
    package func run(
        connected: @escaping @Sendable (StackStormTime?) async -> Void,
        handle: @escaping @Sendable (ServerSentEvent) async -> Void
    ) async {
        var failures = 0
        while !Task.isCancelled {
            let connections = health.value.connections
            do {
                try await follow(connected: connected, handle: handle)
            } catch {
                attempted.open()
                if Task.isCancelled { return }
                // A response of a proxy for a dead stream service does not count as a connection.
                let isDown = (error as? StackStormError)?.code == .serverFailure
                failures = health.value.connections > connections && !isDown ? 0 : failures + 1
                let pause = pauses(failures)
                health.withLock {
                    $0.isConnected = false
                    $0.problem = (error as? StackStormError)?.message ?? "\(error)"
                }
                client.logger.warning(
                    "The event stream was interrupted: \(error). The next attempt is in \(pause.formatted(.units(allowed: [.seconds], fractionalPart: .show(length: 1))))."
                )
                // A sleep throws only if the task is cancelled, which ends the loop.
                try? await clock.sleep(for: pause)
            }
        }
    }

    private func follow(
        connected: @escaping @Sendable (StackStormTime?) async -> Void,
        handle: @escaping @Sendable (ServerSentEvent) async -> Void
    ) async throws {
        var reader = try await start(isFirst: true, handle)
        while true {
            reader.connection.takeOver.open()
            noteConnected()
            await connected(reader.connection.opened.value)
            attempted.open()
            let reading = reader
            guard let next = try await untilSilent(reading, handle) else {
                throw await reading.end()
            }
            // The previous connection has ended, so the events that both have received were handled.
            let handled = handedOver.withLock { handedOver in
                defer { handedOver = nil }
                return handedOver ?? []
            }
            next.connection.handled.withLock { $0 = handled }
            reader = next
        }
    }

    /// Waits until the connection ends, which returns nil, or until another one can replace it.
    private func untilSilent(
        _ reader: Reader, _ handle: @escaping @Sendable (ServerSentEvent) async -> Void
    ) async throws -> Reader? {
        try await withThrowingTaskGroup(of: Reader?.self) { group in
            group.addTask {
                _ = await reader.end()
                return nil
            }
            group.addTask { try await self.successor(handle) }
            let first = try await group.next() ?? nil
            group.cancelAll()
            // Cancel a successor that was opened too late.
            while let late = try? await group.next() { late?.task.cancel() }
            return first
        }
    }

    /// The shared state of a connection and the tasks that wait for it.
    private struct Connection: Sendable {
        /// Opens when the connection may handle events.
        let takeOver = Signal()
        /// Opens when the first byte was received.
        let spoke = Signal()
        /// Opens when the head of the response was received, or when the connection has failed.
        let answered = Signal()
        /// Opens when the first byte was received, or when the connection has failed.
        let known = Signal()
        /// The time at which it was opened, by StackStorm's clock.
        let opened = Locked<StackStormTime?>(nil)
        /// The events that the previous connection has handled since this one was opened.
        let handled = Locked<[ServerSentEvent]>([])
    }

    /// A connection and the task that reads it.
    private struct Reader: Sendable {
        let connection: Connection
        let task: Task<any Error, Never>

        /// Waits until the connection ends, and returns the reason. If the caller is cancelled, the task is cancelled.
        func end() async -> any Error {
            switch await task.ownValue {
            case .success(let error): error
            }
        }
    }

    /// Opens a connection, which handles no events before it takes over.
    ///
    /// - Parameter isFirst: True if there is no other connection. A silent connection is then accepted as well:
    ///   StackStorm writes a newline at once, but a proxy may buffer it.
    private func start(
        isFirst: Bool, _ handle: @escaping @Sendable (ServerSentEvent) async -> Void
    ) async throws -> Reader {
        let connection = Connection()
        let task = Task(executorPreference: client.loop) { () -> any Error in
            defer {
                connection.answered.open()
                connection.known.open()
            }
            return await self.read(connection, handle)
        }
        let limit = client.settings.limits.answer
        if isFirst {
            await Signal.wait(for: connection.answered, atMost: limit)
            attempted.open()
            if connection.answered.isOpen { await Signal.wait(for: connection.known, atMost: Self.courtesy) }
        } else {
            await Signal.wait(for: connection.known, atMost: limit)
        }
        let isGood = connection.spoke.isOpen || isFirst && connection.answered.isOpen && !connection.known.isOpen
        guard isGood else {
            let isLate = !connection.known.isOpen
            task.cancel()
            let error = await task.value
            throw isLate ? StackStormError(.noAnswer, "the stream was opened, but no data was received") : error
        }
        return Reader(connection: connection, task: task)
    }

    /// The number of events that are handled before other tasks on the same thread may run.
    private static let turn = 25

    /// The time that a new first connection may take to send data. After it, a silent connection is accepted.
    private static let courtesy = Duration.seconds(1)

    /// Waits until the stream was silent for too long, and returns another connection that has received data. If none
    /// can be opened, the silent connection is kept, because it may still be alive.
    private func successor(_ handle: @escaping @Sendable (ServerSentEvent) async -> Void) async throws -> Reader {
        let silence = client.settings.limits.silence
        while true {
            let health = health.value
            let quiet = health.isHandling ? .zero : ContinuousClock.now - (health.lastByte ?? .now)
            if quiet < silence {
                try await clock.sleep(for: silence - quiet)
                continue
            }
            do {
                handedOver.withLock { $0 = [] }
                let reader = try await start(isFirst: false, handle)
                self.health.withLock { $0.renewals += 1 }
                return reader
            } catch {
                handedOver.withLock { $0 = nil }
                try Task.checkCancellation()
                self.health.withLock { $0.problem = "the stream is silent, and no other connection can be opened" }
                try await clock.sleep(for: pauses(1))
            }
        }
    }

    private func noteConnected() {
        health.withLock {
            $0.isConnected = true
            $0.connections += 1
            $0.problem = nil
            $0.lastByte = .now
        }
    }

    /// Returns true if the previous connection has handled the same event while both were open.
    private func wasHandled(_ event: ServerSentEvent, _ connection: Connection) -> Bool {
        connection.handled.withLock { handled in
            guard !handled.isEmpty else { return false }
            guard let index = handled.firstIndex(of: event) else {
                // Both receive the same events in the same order, so the previous one has received no later ones.
                handled = []
                return false
            }
            handled.remove(at: index)
            return true
        }
    }

    private func open() async throws -> (HTTPClientResponse.Body, StackStormTime?) {
        let target = "/stream?events=" + events.joined(separator: ",")
        return try await client.withCredential { headers in
            try await client.transport.openStream(target: target, headers: headers)
        }
    }

    /// Reads a connection until it ends, and returns the error.
    private func read(
        _ connection: Connection, _ handle: @Sendable (ServerSentEvent) async -> Void
    ) async -> any Error {
        var parser = ServerSentEventParser()
        var items: [ServerSentEventParser.Item] = []
        do {
            let (body, time) = try await open()
            connection.opened.withLock { $0 = time }
            connection.answered.open()
            for try await chunk in body {
                if !connection.spoke.isOpen {
                    // StackStorm writes a newline at once, so the first byte usually is not an event.
                    connection.spoke.open()
                    connection.known.open()
                    await connection.takeOver.wait()
                    try Task.checkCancellation()
                }
                health.withLock {
                    $0.lastByte = .now
                    $0.isHandling = true
                }
                defer { health.withLock { $0.isHandling = false } }
                chunk.withUnsafeReadableBytes { parser.feed($0, into: &items) }
                for (number, item) in items.enumerated() {
                    // During a burst, other tasks must be able to send replies and process commands.
                    if number % Self.turn == Self.turn - 1 { await Task.yield() }
                    switch item {
                    case .event(let event) where wasHandled(event, connection): break
                    case .event(let event):
                        await handle(event)
                        handedOver.withLock { $0?.append(event) }
                    case .retry: return StackStormError(.serverFailure, "StackStorm's stream service is down")
                    case .oversized(let name, let bytes):
                        health.withLock { $0.oversized += 1 }
                        client.logger.error("An event \(name) of more than \(bytes) bytes was skipped.")
                    }
                }
                items.removeAll(keepingCapacity: true)
                // The time for handling events does not count as silence.
                health.withLock { $0.lastByte = .now }
                try Task.checkCancellation()
            }
            return StackStormError(.noAnswer, "StackStorm closed the stream")
        } catch {
            return error
        }
    }
}
