package import Foundation

/// Detects commands that repeat the last one of the same person, so that the audit log stores one entry for all of
/// them.
package struct RepeatedEntries: Sendable {
    private struct Kept {
        var entry: AuditEntry
        var count = 0
    }

    /// The time in seconds for which repeats are counted on one entry.
    private static let window: TimeInterval = 60
    /// The maximum number of repeats of one entry, which lists the executions of all of them.
    private static let most = 100
    private static let capacity = 1_000

    private var last: [String: Kept] = [:]

    /// Creates an empty state.
    package init() {}

    /// Returns the id of the entry that this one repeats; nil if it has to be stored.
    package mutating func original(of entry: AuditEntry) -> UUID? {
        let person = "\(entry.backend)/\(entry.person)"
        if var kept = last[person], kept.count < Self.most, kept.entry.isRepeated(by: entry),
            entry.time.timeIntervalSince(kept.entry.time) < Self.window
        {
            kept.count += 1
            last[person] = kept
            return kept.entry.id
        }
        if last.count >= Self.capacity { last = [:] }
        last[person] = Kept(entry: entry)
        return nil
    }
}

extension AuditEntry {
    fileprivate func isRepeated(by other: AuditEntry) -> Bool {
        line == other.line && room == other.room && isAllowed == other.isAllowed && rule == other.rule
            && reason == other.reason && name == other.name
    }
}
