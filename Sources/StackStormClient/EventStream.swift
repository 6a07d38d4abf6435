import AsyncHTTPClient
import Logging
import NIOCore
import PetrelKit

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
        package var lastByte: ContinuousClock.Instant?
        package var problem: String?
    }

    private let client: StackStormClient
    private let events: [String]
    private let health = Locked(Health())
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
    ///   - connected: called after each connect; what came before it on the stream was missed.
    ///   - handle: called with one event after the other.
    package func run(
        connected: @escaping @Sendable () async -> Void, handle: @escaping @Sendable (ServerSentEvent) async -> Void
    ) async {
        var failures = 0
        while !Task.isCancelled {
            let connections = health.value.connections
            do {
                try await follow(connected: connected, handle: handle)
            } catch {
                if Task.isCancelled { return }
                // A proxy that answers for a dead stream service is no connection.
                let isDown = (error as? StackStormError)?.code == .serverFailure
                failures = health.value.connections > connections && !isDown ? 0 : failures + 1
                let pause = pauses(failures)
                health.withLock {
                    $0.isConnected = false
                    $0.problem = "\(error)"
                }
                client.logger.warning("The stream of events broke off: \(error). The next attempt is in \(pause).")
                // Only cancellation ends a sleep early, and the loop looks for it.
                try? await clock.sleep(for: pause)
            }
        }
    }

    private enum End: Sendable {
        case broken(any Error)
        case successor(HTTPClientResponse.Body)
    }

    private func follow(
        connected: @escaping @Sendable () async -> Void, handle: @escaping @Sendable (ServerSentEvent) async -> Void
    ) async throws {
        var connection = try await open()
        while true {
            let reading = connection
            noteConnected()
            await connected()
            let end = await withTaskGroup(of: End.self) { group in
                group.addTask { .broken(await self.read(reading, handle)) }
                group.addTask { await self.watch() }
                defer { group.cancelAll() }
                return await group.next() ?? .broken(CancellationError())
            }
            switch end {
            case .broken(let error): throw error
            case .successor(let next): connection = next
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

    private func open() async throws -> HTTPClientResponse.Body {
        let target = "/stream?events=" + events.joined(separator: ",")
        return try await client.withCredential { headers in
            try await client.transport.openStream(target: target, headers: headers)
        }
    }

    /// Reads to the end, which always is a failure.
    private func read(
        _ body: HTTPClientResponse.Body, _ handle: @Sendable (ServerSentEvent) async -> Void
    ) async -> any Error {
        var parser = ServerSentEventParser()
        do {
            var items: [ServerSentEventParser.Item] = []
            for try await chunk in body {
                health.withLock { $0.lastByte = .now }
                chunk.withUnsafeReadableBytes { parser.feed($0, into: &items) }
                for item in items {
                    switch item {
                    case .event(let event): await handle(event)
                    case .retry:
                        return StackStormError(.serverFailure, "StackStorm's stream service is down")
                    case .oversized(let name, let bytes):
                        health.withLock { $0.oversized += 1 }
                        client.logger.error("An event \(name) of more than \(bytes) bytes was skipped.")
                    }
                }
                items.removeAll(keepingCapacity: true)
            }
            return StackStormError(.noAnswer, "StackStorm closed the stream")
        } catch {
            return error
        }
    }

    /// Returns once the stream was silent for too long and another connection is up, or none could be had.
    private func watch() async -> End {
        let silence = client.settings.limits.silence
        do {
            while true {
                let last = health.value.lastByte ?? .now
                let quiet = ContinuousClock.now - last
                if quiet < silence {
                    try await clock.sleep(for: silence - quiet)
                } else {
                    return .successor(try await open())
                }
            }
        } catch {
            return .broken(error)
        }
    }
}
