import PetrelKit

/// Records of which those that contain secrets are encrypted in the store.
struct GuardedRecords: Sendable {
    /// A record, as it was found.
    struct Record: Sendable {
        var key: String
        var value: [UInt8]
        var isSealed: Bool
    }

    private let plain: any RecordCollection
    private let sealed: any RecordCollection

    init(_ collection: String, in storage: any Storage) {
        plain = storage.records(collection)
        sealed = storage.sealed(collection)
    }

    /// Returns all records.
    func all() async throws -> [Record] {
        let encrypted = try await sealed.all().map { Record(key: $0.key, value: $0.value, isSealed: true) }
        let others = try await plain.all().map { Record(key: $0.key, value: $0.value, isSealed: false) }
        return encrypted + others
    }

    /// Stores a record, and removes it where it must not be. A crash cannot lose it once the call has returned. Throws if
    /// it cannot be encrypted.
    func set(_ value: [UInt8], for key: String, isSecret: Bool) async throws {
        if isSecret {
            try await sealed.set(value, for: key)
            plain.put(nil, for: key)
        } else {
            await plain.keep(value, for: key)
            sealed.put(nil, for: key)
        }
    }

    /// Removes a record.
    func remove(_ key: String) async throws {
        try await sealed.remove(key)
        try await plain.remove(key)
    }
}
