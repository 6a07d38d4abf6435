import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
package import PetrelSupport

/// Follows StackStorm's stream for as long as it runs: connects, reads, notices silence, connects again.
///
/// A filtered stream may be silent for minutes on a busy StackStorm, because events that are filtered out put off its
/// heartbeat. So silence is no proof of a dead connection, and reading on is no proof of a live one: after 40 s without
/// a byte a second connection is opened, and only when it has spoken is the first one left.
package final class EventStream: Sendable {
    package struct Health: Sendable, Equatable {
        package var isConnected = false
        package var connections = 0
        package var oversized = 0
        /// Hand-overs from a silent connection to a new one.
        package var renewals = 0
        package var lastByte: ContinuousClock.Instant?
        package var problem: String?
        /// Bytes have come and are not worked through yet.
        var isHandling = false
    }

    /// The first attempt to connect has ended, well or badly.
    package let attempted = Signal()

    private let client: StackStormClient
    private let events: [String]
    private let health = Locked(Health())
    /// What was handled since another connection is being opened; nil while none is.
    private let handedOver = Locked<[ServerSentEvent]?>(nil)
    private let clock: any Clock<Duration>
    private let pauses: @Sendable (_ failures: Int) -> Duration

    /// - Parameters:
    ///   - events: names, with `*`, as StackStorm's `events=` takes them.
    ///   - pauses: how long to wait after so many failures in a row.
    package init(
        _ client: StackStormClient, events: [String], clock: any Clock<Duration> = ContinuousClock(),
        pauses: @escaping @Sendable (Int) -> Duration = EventStream.growing
    ) {
        self.client = client
        self.events = events
        self.clock = clock
        self.pauses = pauses
    }

    package var currentHealth: Health { health.value }

    /// Under a second at first, doubling to 30 s, with jitter.
    package static let growing: @Sendable (Int) -> Duration = { failures in
        .milliseconds(min(500 << min(max(failures - 1, 0), 6), 30_000)) * Double.random(in: 0.5...1)
    }

    /// Runs until cancelled.
    /// - Parameters:
    ///   - connected: called after each connect, with the time by StackStorm's clock; what came before it on the stream
    ///     was missed, unless the connection before it brought it.
    ///   - handle: called with one event after the other, and with none twice.
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
                // A proxy that answers for a dead stream service is no connection.
                let isDown = (error as? StackStormError)?.code == .serverFailure
                failures = health.value.connections > connections && !isDown ? 0 : failures + 1
                let pause = pauses(failures)
                health.withLock {
                    $0.isConnected = false
                    $0.problem = (error as? StackStormError)?.message ?? "\(error)"
                }
                client.logger.warning(
                    "The stream of events broke off: \(error). The next attempt is in \(pause.formatted(.units(allowed: [.seconds], fractionalPart: .show(length: 1))))."
                )
                // Only cancellation ends a sleep early, and the loop looks for it.
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
            // The one before has ended by now: what both of them brought was handled already.
            let handled = handedOver.withLock { handedOver in
                defer { handedOver = nil }
                return handedOver ?? []
            }
            next.connection.handled.withLock { $0 = handled }
            reader = next
        }
    }

    /// Waits for the connection to end, which gives nil, or for another one that took its place.
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
            // A successor that came too late is not left behind.
            while let late = try? await group.next() { late?.task.cancel() }
            return first
        }
    }

    /// What a connection and those who wait for it tell each other.
    private struct Connection: Sendable {
        /// It may handle events from now on.
        let takeOver = Signal()
        /// The first byte has come.
        let spoke = Signal()
        /// The head of the answer has come, or none ever will.
        let answered = Signal()
        /// The first byte has come, or none ever will.
        let known = Signal()
        /// When it was opened, by StackStorm's clock.
        let opened = Locked<StackStormTime?>(nil)
        /// What the connection before it has handled since this one was opened.
        let handled = Locked<[ServerSentEvent]>([])
    }

    /// One connection, read by a task of its own.
    private struct Reader: Sendable {
        let connection: Connection
        let task: Task<any Error, Never>

        /// Why it ended. Cancelling the wait cancels the reading.
        func end() async -> any Error {
            switch await task.ownValue {
            case .success(let error): error
            }
        }
    }

    /// Opens a connection. It handles nothing before it is told to take over.
    /// - Parameter isFirst: there is no other, so that one that does not speak is better than none: StackStorm writes a
    ///   newline at once, but what stands before it may keep that back.
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
            throw isLate ? StackStormError(.noAnswer, "the stream was opened, but nothing came") : error
        }
        return Reader(connection: connection, task: task)
    }

    /// Events that are handled before others on the same thread have their turn.
    private static let turn = 25

    /// How long a new stream may be silent before that is taken for its nature.
    private static let courtesy = Duration.seconds(1)

    /// Once the stream was silent for too long, another connection that has spoken. While none can be had, the silent
    /// one is kept: it may be alive.
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
                self.health.withLock { $0.problem = "silent, and no other connection can be had" }
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

    /// Whether the connection before this one brought the same event while both were open.
    private func wasHandled(_ event: ServerSentEvent, _ connection: Connection) -> Bool {
        connection.handled.withLock { handled in
            guard !handled.isEmpty else { return false }
            guard let index = handled.firstIndex(of: event) else {
                // Both bring the same events in the same order: from here on it is the only one.
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

    /// Reads to the end, which always is a failure.
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
                    // The first byte: StackStorm writes a newline at once.
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
                    // What was said is sent, and commands are taken, while more of a burst is here already.
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
                // Handling may take long; that was not StackStorm's silence.
                health.withLock { $0.lastByte = .now }
                try Task.checkCancellation()
            }
            return StackStormError(.noAnswer, "StackStorm closed the stream")
        } catch {
            return error
        }
    }
}
