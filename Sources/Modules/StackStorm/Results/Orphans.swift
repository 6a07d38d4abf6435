import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// Determines the commands of announcements without context, such as those of `match_and_execute`.
///
/// Such an announcement is a child of an execution of `chatops.post_result`, whose parameters name the execution that
/// is announced.
actor Orphans {
    /// The maximum number of lookups: an announcement may appear in the history later than on the stream.
    private static let attempts = 6
    private static let pause = Duration.milliseconds(250)
    /// The number of announcements per lookup.
    private static let newest = 50

    private let client: StackStormClient
    private let open: OpenExecutions
    private let logger: Logger
    private let arrivals: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)
    /// The held announcements. The first one is being looked up.
    private nonisolated let held = Locked<[Announced]>([])

    init(_ client: StackStormClient, open: OpenExecutions, logger: Logger) {
        self.client = client
        self.open = open
        self.logger = logger
        arrivals = AsyncStream.makeStream()
    }

    /// The calls of `match_and_execute` without a response, by the channel in StackStorm.
    private nonisolated let calls = Locked<[String: [Signal]]>([:])

    /// Begins a call without context. Its results may arrive before StackStorm's response, and wait until the returned
    /// signal is opened.
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

    /// Queues an announcement and returns true if it may be the result of a command without context.
    nonisolated func hold(_ announced: Announced) -> Bool {
        guard announced.request == nil, let channel = announced.announcement.channel,
            open.awaitsOrphan(in: channel) || !outstanding(in: channel).isEmpty
        else { return false }
        // It may be both on the stream and, while it is held, in the history.
        let isNew = held.withLock { held in
            guard let index = held.firstIndex(where: { $0.isTheSame(as: announced) }) else {
                held.append(announced)
                return true
            }
            held[index].source = held[index].source ?? announced.source
            held[index].parent = held[index].parent ?? announced.parent
            return false
        }
        if isNew { arrivals.continuation.yield() }
        return true
    }

    /// Passes on the queued announcements in order, with the request IDs that were found, until cancelled.
    func run(_ handBack: @Sendable (Announced) -> Void) async {
        for await _ in arrivals.stream {
            guard let announced = held.value.first else { continue }
            for call in outstanding(in: announced.announcement.channel ?? "") { await call.wait() }
            let request = await request(of: announced)
            // The announcement remains in the history, and the next run of the bot posts it.
            guard !Task.isCancelled else { return }
            var found = held.withLock { $0.removeFirst() }
            found.request = request
            handBack(found)
        }
    }

    /// Returns the request ID of the command of an announcement, or nil. The lookup is repeated if StackStorm is slow
    /// or does not respond.
    private func request(of announced: Announced) async -> String? {
        var parent = announced.parent
        for attempt in 0..<Self.attempts {
            // Only cancellation ends the sleep early, and then the call throws.
            if attempt > 0 { try? await Task.sleep(for: Self.pause * (1 << attempt)) }
            do {
                if parent == nil, announced.source == nil {
                    guard let run = try await run(of: announced) else { continue }
                    parent = run.parent
                }
                // An announcement without a parent is not a result.
                guard let parent else { return nil }
                let run = try await client.call(.execution(parent))
                return run.parameters?["execution_id"]?.string.flatMap { open.request(ofExecution: $0) }
            } catch is CancellationError {
                return nil
            } catch {
                logger.info("Cannot determine the command of an announcement yet: \(error)")
            }
        }
        return nil
    }

    /// Returns an announcement from the history, or nil if the history does not contain it yet.
    private func run(of announced: Announced) async throws -> AnnouncementRun? {
        let page = try await client.call(.announcements(HistoryFilter(limit: Self.newest, isNewestFirst: true)))
        let same = page.items.first { Announced($0).content == announced.content && isNew($0) }
        guard let same else { return nil }
        taken.append(same.id)
        if taken.count > Self.newest { taken.removeFirst() }
        return same
    }

    /// The announcements that were assigned: two results can have the same content.
    private var taken: [String] = []

    private func isNew(_ run: AnnouncementRun) -> Bool { !taken.contains(run.id) }
}
