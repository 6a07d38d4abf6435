package import Foundation

/// Finds commands that repeat the last one of the same person, so that the audit keeps one entry for all of them.
package struct RepeatedEntries: Sendable {
    private struct Kept {
        var entry: AuditEntry
        var count = 0
    }

    /// Repeats are one entry for so long.
    private static let window: TimeInterval = 60
    /// An entry lists the executions of all its repeats.
    private static let most = 100
    private static let capacity = 1_000

    private var last: [String: Kept] = [:]

    package init() {}

    /// The id of the entry that this one repeats; nil where it is to be kept itself.
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
