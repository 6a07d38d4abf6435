import Foundation
import PetrelKit
import PetrelSupport

/// The aliases of all people: in memory, because every line is looked up, and in the store.
final class Aliases: Sendable {
    /// The maximum number of aliases of one person.
    static let most = 200

    private let records: GuardedRecords
    private let reader: RecordReader
    /// Returns true for a line with secrets in it.
    private let isSecret: @Sendable (String) -> Bool
    private let state = Locked<[String: [String: String]]>([:])
    private let isRestored = Signal()

    init(_ records: GuardedRecords, _ reader: RecordReader, isSecret: @escaping @Sendable (String) -> Bool) {
        self.records = records
        self.reader = reader
        self.isSecret = isSecret
    }

    private static func key(_ person: Person, _ backend: String) -> String { "\(backend)/\(person.id)" }

    /// Reads the aliases from the store.
    func restore() async throws {
        var all: [String: [String: String]] = [:]
        for record in try await records.all() where all[record.key] == nil {
            let identity = "aliases \(record.key)"
            guard let own = reader.decode([String: String].self, record.value, "aliases of a person", key: identity)
            else { continue }
            all[record.key] = own
            if !record.isSealed, own.values.contains(where: isSecret) {
                // The commands that have secrets may have changed since it was stored.
                await reader.seal(record, in: records, "aliases of a person")
            }
        }
        let restored = all
        state.withLock { $0 = restored }
        isRestored.open()
    }

    /// Returns the aliases of a person, by their names.
    func all(of person: Person, on backend: String) -> [String: String] {
        state.withLock { $0[Self.key(person, backend)] ?? [:] }
    }

    /// Returns the line for which the first word of a line stands, with the rest of the line behind it; nil if the word
    /// is not an alias.
    func expanded(_ line: String, of person: Person, on backend: String) -> String? {
        let (word, rest) = line.firstWord
        let stored = state.withLock { $0[Self.key(person, backend)]?[Command.key(word)] }
        guard let stored else { return nil }
        return rest.isEmpty ? stored : "\(stored) \(rest)"
    }

    /// Sets an alias, or removes it if the line is nil. Returns false if there are too many, or none to remove.
    func set(_ name: String, to line: String?, of person: Person, on backend: String) async throws -> Bool {
        // All aliases of a person are one record.
        guard isRestored.isOpen else { throw Refusal("The aliases cannot be read at the moment; see the log.") }
        let key = Self.key(person, backend)
        let name = Command.key(name)
        let change = state.withLock { state -> (old: String?, isDone: Bool) in
            var own = state[key] ?? [:]
            let old = own[name]
            own[name] = line
            if line == nil && old == nil || own.count > Self.most { return (old, false) }
            state[key] = own.isEmpty ? nil : own
            return (old, true)
        }
        guard change.isDone else { return false }
        do {
            try await store(key)
        } catch {
            state.withLock { $0[key, default: [:]][name] = change.old }
            throw error
        }
        return true
    }

    /// Stores the aliases of a person, again if they have changed meanwhile.
    private func store(_ key: String) async throws {
        var stored: [String: String]?
        while true {
            let own = state.withLock { $0[key] ?? [:] }
            if own == stored { return }
            if own.isEmpty {
                try await records.remove(key)
            } else {
                try await records.set(
                    try JSONValue.encode(own), for: key, isSecret: own.values.contains(where: isSecret))
            }
            stored = own
        }
    }
}
