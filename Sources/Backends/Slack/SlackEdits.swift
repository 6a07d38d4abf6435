import PetrelKit
import PetrelSupport

/// Messages that are shown otherwise later: where they are, in memory, and what is to be shown there.
///
/// Of what is to be shown in one place only the newest counts, so that nothing piles up, and nothing waits behind it.
final class SlackEdits: Sendable {
    /// Shows it. Throws ``SlackError``.
    typealias Show = @Sendable (_ reply: Reply, _ channel: String, _ time: String) async throws -> Void

    private struct Entry: Sendable {
        var place: (channel: String, time: String)?
        var wanted: Reply?
        var shown: Reply?
        var isWorking = false
    }

    private static let capacity = 1_000
    private static let attempts = 3
    /// Where Slack does not say for how long to wait.
    private static let pause = Duration.seconds(2)

    private struct State: Sendable {
        var entries = Newest<Entry>(SlackEdits.capacity)

        mutating func change(_ handle: String, _ change: (inout Entry) -> Void) {
            var entry = entries[handle] ?? Entry()
            change(&entry)
            entries[handle] = entry
        }

        /// What is to be shown now, and where. Whoever takes it works on it until there is nothing more.
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
    private let state = Locked(State())

    init(on loop: EventLoopExecutor) {
        self.loop = loop
    }

    func remember(_ handle: String, channel: String, time: String, show: @escaping Show) {
        state.withLock { $0.change(handle) { $0.place = (channel, time) } }
        work(on: handle, show)
    }

    func replace(_ handle: String, with reply: Reply, show: @escaping Show) {
        state.withLock { $0.change(handle) { $0.wanted = reply } }
        work(on: handle, show)
    }

    private func work(on handle: String, _ show: @escaping Show) {
        guard var next = state.withLock({ $0.next(handle, isWorking: false) }) else { return }
        _ = Task(executorPreference: loop) { [state] in
            while true {
                await Self.show(next, show)
                guard let newer = state.withLock({ $0.next(handle, isWorking: true) }) else { return }
                next = newer
            }
        }
    }

    /// What Slack does not take is left out: the next change shows all again.
    private static func show(_ next: (reply: Reply, channel: String, time: String), _ show: Show) async {
        for _ in 0..<attempts {
            do {
                return try await show(next.reply, next.channel, next.time)
            } catch let error as SlackError {
                guard case .later(let pause) = error.remedy, !error.isFinal,
                    (try? await Task.sleep(for: pause ?? Self.pause)) != nil
                else { return }
            } catch {
                return
            }
        }
    }
}
