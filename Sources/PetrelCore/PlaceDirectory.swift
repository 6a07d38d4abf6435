import Foundation
import Logging
import PetrelKit
import PetrelSupport

/// A directory of the people and rooms that the bot has seen, for names without a backend or without an id. It is
/// stored, and limited in size.
final class PlaceDirectory: Sendable {
    private static let capacity = 10_000
    static let collection = "places"

    fileprivate struct Key: Hashable {
        var backend: String
        var text: String
    }

    fileprivate struct State {
        /// The backends on which a room or a person with this id or name was seen.
        var backends: [String: Set<String>] = [:]
        var people: [Key: Person] = [:]
        var rooms: [Key: Room] = [:]
        var records: (any RecordCollection)?
    }

    /// The stored form of a room or a person.
    fileprivate struct Stored: Codable, Hashable {
        var backend: String
        var id: String
        var name: String
        var isRoom: Bool
        /// True for a private room.
        var isPrivate: Bool?

        var key: String { "\(isRoom ? "room" : "person") \(backend.utf8.count):\(backend):\(id)" }
    }

    private let state = Locked(State())

    /// Restores the directory of the earlier run.
    func restore(from storage: any Storage, _ logger: Logger) async {
        let records = storage.records(Self.collection)
        do {
            try await records.trim(to: Self.capacity)
            var problems: [String] = []
            let all = try await records.all().compactMap { record -> Stored? in
                do {
                    return try JSONDecoder().decode(Stored.self, from: Data(record.value))
                } catch {
                    problems.append("\(Printable.name(record.key)): \(JSONValue.reason(of: error))")
                    return nil
                }
            }
            if let first = problems.first {
                logger.error("Cannot read \(problems.count) entries of the place directory, such as \(first)")
            }
            state.withLock { state in
                for stored in all { state.add(stored) }
                state.records = records
            }
        } catch {
            logger.error("Cannot read the place directory: \(error)")
            state.withLock { $0.records = records }
        }
    }

    /// Adds the sender and the room of a message.
    func remember(_ message: ChatMessage, on backend: String) {
        // A person without an account may have a different id in each message, and cannot receive messages later.
        let sender = message.sender.isStable ? message.sender : nil
        var seen: [Stored] = []
        if let sender { seen.append(Stored(backend: backend, id: sender.id, name: sender.name, isRoom: false)) }
        if let room = message.room {
            let isPrivate = room.isPrivate ? true : nil
            seen.append(Stored(backend: backend, id: room.id, name: room.name, isRoom: true, isPrivate: isPrivate))
        }
        let (new, forgotten, records) = state.withLock { state in
            let forgotten = state.backends.count >= Self.capacity ? state.forget() : []
            let new = seen.filter { state.add($0) }
            if let room = message.room { state.rooms[Key(backend: backend, text: room.name)] = room }
            if let sender { state.people[Key(backend: backend, text: sender.name)] = sender }
            return (new, forgotten, state.records)
        }
        for key in forgotten { records?.put(nil, for: key) }
        // Texts always encode.
        for stored in new { records?.put(try? JSONValue.encode(stored), for: stored.key) }
    }

    /// Returns the backends on which a room or a person with this id or name was seen.
    func backends(of name: String) -> Set<String> { state.withLock { $0.backends[name] ?? [] } }

    /// Returns the person with this id or name.
    func person(named name: String, on backend: String) -> Person? {
        state.withLock { $0.people[Key(backend: backend, text: name)] }
    }

    /// Returns the person with this id, or everyone whose present name it is.
    func people(named name: String, on backend: String) -> [Person] {
        state.withLock { state in
            let found = state.people[Key(backend: backend, text: name)]
            if let found, found.id.utf8.elementsEqual(name.utf8) { return [found] }
            return state.people.filter { key, person in
                key.backend.utf8.elementsEqual(backend.utf8) && key.text.utf8.elementsEqual(person.id.utf8)
                    && person.name.utf8.elementsEqual(name.utf8)
            }.map(\.value).sorted { $0.id < $1.id }
        }
    }

    /// Returns the room with this id or name.
    func room(named name: String, on backend: String) -> Room? {
        state.withLock { $0.rooms[Key(backend: backend, text: name)] }
    }
}

extension PlaceDirectory.State {
    /// Removes all entries. Returns the keys of their records.
    fileprivate mutating func forget() -> Set<String> {
        let stored =
            people.map { PlaceDirectory.Stored(backend: $0.key.backend, id: $0.value.id, name: "", isRoom: false) }
            + rooms.map { PlaceDirectory.Stored(backend: $0.key.backend, id: $0.value.id, name: "", isRoom: true) }
        self = PlaceDirectory.State(records: records)
        return Set(stored.map(\.key))
    }

    /// Adds an entry. Returns true if it is new or has a new name.
    @discardableResult fileprivate mutating func add(_ stored: PlaceDirectory.Stored) -> Bool {
        let id = PlaceDirectory.Key(backend: stored.backend, text: stored.id)
        let name = PlaceDirectory.Key(backend: stored.backend, text: stored.name)
        let last = stored.isRoom ? rooms[id]?.name : people[id]?.name
        let isSame = !stored.isRoom || rooms[id]?.isPrivate == (stored.isPrivate == true)
        guard last != stored.name || !isSame else { return false }
        backends[stored.id, default: []].insert(stored.backend)
        backends[stored.name, default: []].insert(stored.backend)
        if stored.isRoom {
            rooms[id] = Room(id: stored.id, name: stored.name, isPrivate: stored.isPrivate == true)
            rooms[name] = rooms[id]
        } else {
            people[id] = Person(id: stored.id, name: stored.name)
            people[name] = people[id]
        }
        return true
    }
}
