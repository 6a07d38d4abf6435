import Foundation
import PetrelKit
import PetrelSupport

/// The aliases of all people: in memory, because every line is looked up, and in the store.
final class Aliases: Sendable {
    /// The maximum number of aliases of one person.
    static let most = 200

    private let records: any RecordCollection
    private let state = Locked<[String: [String: String]]>([:])

    init(_ records: any RecordCollection) { self.records = records }

    private static func key(_ person: Person, _ backend: String) -> String { "\(backend)/\(person.id)" }

    /// Reads the aliases from the store.
    func restore() async throws {
        let all = try await records.all().map {
            ($0.key, try JSONDecoder().decode([String: String].self, from: Data($0.value)))
        }
        state.withLock { $0 = Dictionary(all) { $1 } }
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
    func set(_ name: String, to line: String?, of person: Person, on backend: String) throws -> Bool {
        let key = Self.key(person, backend)
        let name = Command.key(name)
        let changed = state.withLock { state -> [String: String]? in
            var own = state[key] ?? [:]
            if line == nil, own[name] == nil { return nil }
            own[name] = line
            if own.count > Self.most { return nil }
            state[key] = own.isEmpty ? nil : own
            return own
        }
        guard let changed else { return false }
        records.put(changed.isEmpty ? nil : try JSONValue.encode(changed), for: key)
        return true
    }
}
