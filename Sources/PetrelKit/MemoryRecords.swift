import PetrelSupport

/// A collection of records in memory, for tests and for backends without storage.
public final class MemoryRecords: RecordCollection {
    private let state = Locked<[(key: String, value: [UInt8])]>([])

    /// Creates an empty collection.
    public init() {}

    /// Returns the value of a key; nil if none exists.
    public func value(for key: String) async throws -> [UInt8]? { state.withLock { $0.first { $0.key == key }?.value } }

    /// Returns all records, sorted by key.
    public func all() async throws -> [(key: String, value: [UInt8])] {
        state.withLock { $0.sorted { $0.key < $1.key } }
    }

    /// Sets the value of a key.
    public func set(_ value: [UInt8], for key: String) async throws { put(value, for: key) }

    /// Sets the value of a key, or removes it if the value is nil.
    public func put(_ value: [UInt8]?, for key: String) {
        state.withLock { records in
            let index = records.firstIndex { $0.key == key }
            switch (index, value) {
            case (let index?, let value?): records[index].value = value
            case (let index?, nil): records.remove(at: index)
            case (nil, let value?): records.append((key, value))
            case (nil, nil): break
            }
        }
    }

    /// Sets the value of a key.
    public func keep(_ value: [UInt8], for key: String) async { put(value, for: key) }

    /// Replaces all records.
    public func replaceAll(with records: [(key: String, value: [UInt8])]) async throws {
        state.withLock { $0 = records }
    }

    /// Removes the record of a key.
    public func remove(_ key: String) async throws { put(nil, for: key) }

    /// Removes the oldest records until at most `count` are left.
    public func trim(to count: Int) async throws { state.withLock { $0 = Array($0.suffix(count)) } }
}
