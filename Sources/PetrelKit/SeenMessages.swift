import Foundation
package import Logging

/// The messages that were taken already, in memory and in the store: a service repeats what it believes was not
/// acknowledged, over our restarts too.
///
/// A mark is on its way into the store before the command is handed over, so that it is there before StackStorm hears of
/// it.
package actor SeenMessages {
    /// Services repeat for minutes, or for a day; so many are kept.
    private static let capacity = 20_000
    private static let trimming = 1_000

    private let records: (any RecordCollection)?
    private let logger: Logger
    private var keys: Set<String>
    private var order: [String]

    /// - Parameters:
    ///   - storage: nil where nothing outlasts the process.
    ///   - age: a part of a key, by which older ones come first where nothing else says it.
    package init(
        _ storage: (any Storage)?, _ logger: Logger, age: @Sendable (_ key: String) -> Substring = { $0[...] }
    ) async {
        self.logger = logger
        records = storage?.records("seen")
        do {
            order = (try await records?.all() ?? []).sorted { one, other in
                one.value == other.value
                    ? age(one.key) < age(other.key) : one.value.lexicographicallyPrecedes(other.value)
            }.map(\.key)
        } catch {
            logger.error("Cannot read the keys of earlier messages; repeated messages may run twice: \(error)")
            order = []
        }
        keys = Set(order)
    }

    /// Whether it is the first time.
    package func isNew(_ key: String) async -> Bool {
        guard keys.insert(key).inserted else { return false }
        order.append(key)
        records?.put(Self.time(), for: key)
        if order.count >= Self.capacity + Self.trimming { await trim() }
        return true
    }

    /// Whether it was taken before.
    package func contains(_ key: String) -> Bool { keys.contains(key) }

    /// By which older ones come first.
    private static func time() -> [UInt8] {
        let microseconds = UInt64(max(Date().timeIntervalSince1970, 0) * 1_000_000)
        return withUnsafeBytes(of: microseconds.bigEndian) { Array($0) }
    }

    private func trim() async {
        let old = order.prefix(order.count - Self.capacity)
        keys.subtract(old)
        order.removeFirst(old.count)
        do {
            try await records?.trim(to: Self.capacity)
        } catch {
            logger.error("Cannot remove the keys of old messages: \(error)")
        }
    }
}
