import Foundation
import PetrelKit
import PetrelSupport

/// A lock on a service, while somebody deploys it.
struct DeployLock: Codable, Sendable, Hashable {
    var service: String
    /// The backend and the identifier of the person who took it.
    var owner: String
    /// The name of that person.
    var name: String
    var reason: String
    /// In seconds since 1970.
    var since: Int64
}

/// The locks that are taken, in memory and in the store.
final class Locks: Sendable {
    private static let most = 1000
    private let held = Locked<[String: DeployLock]?>(nil)
    private let storage: any Storage

    init(_ storage: any Storage) { self.storage = storage }

    /// The locks, in the order of their services; nil until they are read from the store.
    var all: [DeployLock]? { held.value?.values.sorted { $0.service < $1.service } }

    /// Reads the locks of an earlier run. Other calls fail until then.
    func restore() async throws {
        var locks: [String: DeployLock] = [:]
        for (key, value) in try await storage.records("locks").all() {
            locks[key] = try JSONDecoder().decode(DeployLock.self, from: Data(value))
        }
        held.withLock { [locks] in $0 = locks }
    }

    /// Takes a lock. Throws if somebody has it.
    func take(_ lock: DeployLock) async throws {
        let record = try JSONValue.encode(lock)
        try change { locks in
            if let other = locks[lock.service] {
                throw Refusal("\(other.name) has locked \(other.service): \(other.reason)")
            }
            guard locks.count < Self.most else { throw Refusal("There are \(Self.most) locks; release one first.") }
            locks[lock.service] = lock
            storage.records("locks").put(record, for: lock.service)
        }
        try await storeAll()
    }

    /// Releases a lock. Throws if the person did not take it; an administrator may release every lock.
    func release(_ service: String, by owner: String, isAdmin: Bool) async throws {
        try change { locks in
            guard let lock = locks[service] else { throw Refusal("\(service) is not locked.") }
            guard isAdmin || lock.owner == owner else {
                throw Refusal("Only \(lock.name) or an administrator can release \(service).")
            }
            locks[service] = nil
            storage.records("locks").put(nil, for: service)
        }
        try await storeAll()
    }

    /// Changes the locks in memory. The closure queues the write as well, so that both have the same order.
    private func change(_ body: (inout [String: DeployLock]) throws -> Void) throws {
        try held.withLock { held in
            guard var locks = held else { throw Refusal("The locks are being read from the store. Try again.") }
            try body(&locks)
            held = locks
        }
    }

    private func storeAll() async throws {
        guard await storage.written() else {
            throw Refusal("Done, but the store cannot be written: a restart would undo it.")
        }
    }
}
