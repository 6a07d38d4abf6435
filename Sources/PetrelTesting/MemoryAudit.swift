public import Foundation
public import PetrelKit
import PetrelSupport

/// An audit log in memory.
public final class MemoryAudit: AuditLog {
    private let kept = Locked<[AuditEntry]>([])
    private let repeated = Locked(RepeatedEntries())

    /// Creates an empty log.
    public init() {}

    /// The entries, in the order of their times.
    public var all: [AuditEntry] { kept.value }

    /// Adds an entry, or counts it as a repeat of an earlier one. Returns the id of the stored entry.
    @discardableResult public func record(_ entry: AuditEntry) -> UUID {
        let entry = entry.bounded
        let original = repeated.withLock { $0.original(of: entry) }
        kept.withLock { kept in
            if let index = kept.firstIndex(where: { $0.id == original }) {
                kept[index].repeats += 1
            } else {
                kept.append(entry)
            }
        }
        return original ?? entry.id
    }

    /// Adds an execution to an entry, and replaces its line unless the new one is nil.
    public func started(_ execution: String, line: String?, by entry: UUID) {
        kept.withLock { kept in
            guard let index = kept.firstIndex(where: { $0.id == entry }) else { return }
            kept[index].executions.append(execution)
            if let line { kept[index].line = AuditEntry.bounded(line) }
        }
    }

    /// Returns the entries that match a query, the newest first.
    public func entries(_ query: AuditQuery) async throws -> [AuditEntry] {
        let wanted = all.reversed().filter { entry in
            (query.person.map { person in
                [person, "@" + person].contains { [entry.person, entry.name].contains($0) }
            } ?? true)
                && !(query.onlyDenied && entry.isAllowed)
        }
        return Array(wanted.prefix(query.limit))
    }
}
