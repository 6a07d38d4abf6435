import Foundation
public import Logging

/// The keys of the messages that a backend has received, in memory and in the store. They detect duplicates, because a
/// service repeats messages that it believes were not acknowledged, also after a restart of the bot.
///
/// The write of a key is submitted before the message is delivered, so that it is stored before the command has
/// effects.
public actor SeenMessages {
    /// The number of stored keys, enough for a day of repeats.
    private static let capacity = 20_000
    private static let trimming = 1_000

    private let records: (any RecordCollection)?
    private let logger: Logger
    private var keys: Set<String>
    private var order: [String]

    /// Restores the keys of an earlier run.
    /// - Parameters:
    ///   - storage: the storage of the backend; nil to keep the keys only in memory.
    ///   - age: returns the part of a key by which keys that were stored at the same time are sorted.
    public init(
        _ storage: (any Storage)?, _ logger: Logger, age: @Sendable (_ key: String) -> Substring = { $0[...] }
    ) async {
        self.logger = logger
        records = storage?.keepsRecords == true ? storage?.records("seen") : nil
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

    /// Adds a key. Returns false if it is already known.
    public func isNew(_ key: String) async -> Bool {
        guard keys.insert(key).inserted else { return false }
        order.append(key)
        records?.put(Self.time(), for: key)
        if order.count >= Self.capacity + Self.trimming { await trim() }
        return true
    }

    /// Returns true if the key is known.
    public func contains(_ key: String) -> Bool { keys.contains(key) }

    /// Returns the current time as bytes that sort in the order of time.
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
