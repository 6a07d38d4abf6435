import Logging
import PetrelKit
import PetrelSupport

/// Replaces sent messages. Their locations are kept in memory.
///
/// Only the newest content for a message is sent, so updates do not accumulate, and sending does not wait for them.
final class SlackEdits: Sendable {
    /// Updates a message. Throws ``SlackError``.
    typealias Show = @Sendable (_ reply: Reply, _ channel: String, _ time: String) async throws -> Void

    private struct Entry: Sendable {
        var place: (channel: String, time: String)?
        var wanted: Reply?
        var shown: Reply?
        var isWorking = false
    }

    private static let capacity = 1_000
    private static let attempts = 3
    /// The delay before a retry if Slack does not specify one.
    private static let pause = Duration.seconds(2)

    private struct State: Sendable {
        var entries = Newest<Entry>(SlackEdits.capacity)

        mutating func change(_ handle: String, _ change: (inout Entry) -> Void) {
            var entry = entries[handle] ?? Entry()
            change(&entry)
            entries[handle] = entry
        }

        /// Returns the next update of a message; nil if none exists. The caller sends updates until it receives nil.
        mutating func next(_ handle: String, isWorking: Bool) -> (Reply, channel: String, time: String)? {
            guard var entry = entries[handle], entry.isWorking == isWorking else { return nil }
            defer { entries[handle] = entry }
            guard let place = entry.place, let wanted = entry.wanted, wanted != entry.shown else {
                entry.isWorking = false
                return nil
            }
            entry.isWorking = true
            entry.shown = wanted
            return (wanted, place.channel, place.time)
        }
    }

    private let loop: EventLoopExecutor
    private let logger: Logger
    private let state = Locked(State())

    init(on loop: EventLoopExecutor, _ logger: Logger) {
        self.loop = loop
        self.logger = logger
    }

    /// Stores the location of a message, and sends an update that was requested earlier.
    func remember(_ handle: String, channel: String, time: String, show: @escaping Show) {
        state.withLock { $0.change(handle) { $0.place = (channel, time) } }
        work(on: handle, show)
    }

    /// Updates a message, or does so once its location is known.
    func replace(_ handle: String, with reply: Reply, show: @escaping Show) {
        state.withLock { $0.change(handle) { $0.wanted = reply } }
        work(on: handle, show)
    }

    private func work(on handle: String, _ show: @escaping Show) {
        guard var next = state.withLock({ $0.next(handle, isWorking: false) }) else { return }
        _ = Task(executorPreference: loop) { [state, logger] in
            while true {
                await Self.show(next, show, logger)
                guard let newer = state.withLock({ $0.next(handle, isWorking: true) }) else { return }
                next = newer
            }
        }
    }

    /// Sends one update. An update that Slack rejects is dropped, because the next one contains the whole message.
    private static func show(
        _ next: (reply: Reply, channel: String, time: String), _ show: Show, _ logger: Logger
    ) async {
        for attempt in 1...attempts {
            do {
                return try await show(next.reply, next.channel, next.time)
            } catch is CancellationError {
                return
            } catch {
                guard attempt < attempts, let pause = pause(after: error), (try? await Task.sleep(for: pause)) != nil
                else { return logger.notice("A message in \(next.channel) was not updated: \(error)") }
            }
        }
    }

    /// Returns the pause before the next attempt; nil if another attempt cannot help.
    private static func pause(after error: any Error) -> Duration? {
        guard let error = error as? SlackError, case .later(let pause) = error.remedy, !error.isFinal else {
            return nil
        }
        return pause ?? Self.pause
    }
}
