import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// Finds out of which command an announcement speaks that came without our context, as those of `match_and_execute` do:
/// it was a child of the run of `chatops.post_result`, whose parameters name the execution.
actor Orphans {
    /// The history may have an announcement a little later than the stream.
    private static let attempts = 6
    private static let pause = Duration.milliseconds(250)
    private static let newest = 50

    private let client: StackStormClient
    private let open: OpenExecutions
    private let logger: Logger
    private let waiting: (stream: AsyncStream<Announced>, continuation: AsyncStream<Announced>.Continuation)

    init(_ client: StackStormClient, open: OpenExecutions, logger: Logger) {
        self.client = client
        self.open = open
        self.logger = logger
        waiting = AsyncStream.makeStream()
    }

    /// Calls of `match_and_execute` whose answers are outstanding, by the channels that StackStorm was given.
    private nonisolated let calls = Locked<[String: [Signal]]>([:])

    /// A command is about to be handed over without our context. Its results may be quicker than StackStorm's answer,
    /// and wait for the returned signal.
    nonisolated func begin(in place: Address.Place) -> Signal {
        let end = Signal()
        calls.withLock { $0[Templates.disarmed(place.id), default: []].append(end) }
        return end
    }

    private nonisolated func outstanding(in channel: String) -> [Signal] {
        calls.withLock { calls in
            let open = calls[channel, default: []].filter { !$0.isOpen }
            calls[channel] = open.isEmpty ? nil : open
            return open
        }
    }

    /// Whether the announcement may speak of a command that travelled without our context; then it waits here.
    nonisolated func hold(_ announced: Announced) -> Bool {
        guard announced.request == nil, let channel = announced.announcement.channel,
            open.awaitsOrphan(in: channel) || !outstanding(in: channel).isEmpty
        else { return false }
        waiting.continuation.yield(announced)
        return true
    }

    /// Hands back each announcement, in their order, with the command of which it speaks where that was found.
    func run(_ handBack: @Sendable (Announced) -> Void) async {
        for await announced in waiting.stream {
            for call in outstanding(in: announced.announcement.channel ?? "") { await call.wait() }
            var found = announced
            found.request = await request(of: announced)
            handBack(found)
        }
    }

    /// Asked again where StackStorm is slow, or does not answer.
    private func request(of announced: Announced) async -> String? {
        var parent = announced.parent
        for attempt in 0..<Self.attempts {
            // Only cancellation ends a sleep early, and then the call fails.
            if attempt > 0 { try? await Task.sleep(for: Self.pause * (1 << attempt)) }
            do {
                if parent == nil { parent = try await self.parent(of: announced) }
                guard let parent else { continue }
                let run = try await client.call(.execution(parent))
                return run.parameters?["execution_id"]?.string.flatMap { open.request(ofExecution: $0) }
            } catch {
                logger.info("Of which command an announcement speaks cannot be found out yet: \(error)")
            }
        }
        return nil
    }

    /// From the history; nil where it does not have the announcement yet.
    private func parent(of announced: Announced) async throws -> String? {
        let page = try await client.call(.announcements(HistoryFilter(limit: Self.newest, isNewestFirst: true)))
        let same = page.items.first { Announced($0).content == announced.content && isNew($0) }
        guard let same else { return nil }
        taken.append(same.id)
        if taken.count > Self.newest { taken.removeFirst() }
        return same.parent
    }

    /// Two results may read the same: each run is one of them.
    private var taken: [String] = []

    private func isNew(_ run: AnnouncementRun) -> Bool { !taken.contains(run.id) }
}
