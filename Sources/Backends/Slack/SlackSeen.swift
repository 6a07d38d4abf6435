import Logging
import PetrelKit

/// The messages and commands that were taken already, in memory and in the store: Slack repeats what it believes was
/// not acknowledged, over our restarts too.
///
/// A mark is on its way into the store before the command is handed over, so that it is there before StackStorm hears of
/// it.
actor SlackSeen {
    /// Slack repeats for minutes, and with delayed events for a day; so many are kept.
    private static let capacity = 20_000
    private static let trimming = 1_000

    private let records: (any RecordCollection)?
    private let logger: Logger
    private var keys: Set<String>
    private var order: [String]

    /// - Parameter storage: nil where nothing outlasts the process.
    init(_ storage: (any Storage)?, _ logger: Logger) async {
        self.logger = logger
        records = storage?.records("seen")
        do {
            // The oldest first: a key is a channel and a time stamp.
            order = (try await records?.all().map(\.key) ?? []).sorted { Self.time(of: $0) < Self.time(of: $1) }
        } catch {
            logger.error("What Slack has delivered before cannot be read: \(error)")
            order = []
        }
        keys = Set(order)
    }

    private static func time(of key: String) -> Substring { key.drop { $0 != "/" } }

    /// Whether it is the first time.
    func isNew(_ key: String) async -> Bool {
        guard keys.insert(key).inserted else { return false }
        order.append(key)
        records?.put([], for: key)
        if order.count >= Self.capacity + Self.trimming { await trim() }
        return true
    }

    private func trim() async {
        let old = order.prefix(order.count - Self.capacity)
        keys.subtract(old)
        order.removeFirst(old.count)
        do {
            try await records?.trim(to: Self.capacity)
        } catch {
            logger.error("What Slack has delivered long ago cannot be removed: \(error)")
        }
    }
}
