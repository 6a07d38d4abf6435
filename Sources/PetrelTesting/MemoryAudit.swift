public import Foundation
public import PetrelKit
import PetrelSupport

/// An audit for tests, gone with the process.
public final class MemoryAudit: AuditLog {
    private let kept = Locked<[AuditEntry]>([])
    private let repeated = Locked(RepeatedEntries())

    public init() {}

    /// In the order in which they happened.
    public var all: [AuditEntry] { kept.value }

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

    public func started(_ execution: String, line: String?, by entry: UUID) {
        kept.withLock { kept in
            guard let index = kept.firstIndex(where: { $0.id == entry }) else { return }
            kept[index].executions.append(execution)
            if let line { kept[index].line = AuditEntry.bounded(line) }
        }
    }

    public func entries(_ query: AuditQuery) async throws -> [AuditEntry] {
        let wanted = all.reversed().filter { entry in
            (query.person.map { [entry.person, entry.name].contains($0) } ?? true)
                && !(query.onlyDenied && entry.isAllowed)
        }
        return Array(wanted.prefix(query.limit))
    }
}
