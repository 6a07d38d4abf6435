import PetrelSupport

/// Records that are gone with the process.
public final class MemoryRecords: RecordCollection {
    private let state = Locked<[(key: String, value: [UInt8])]>([])

    public init() {}

    public func value(for key: String) async throws -> [UInt8]? { state.withLock { $0.first { $0.key == key }?.value } }

    public func all() async throws -> [(key: String, value: [UInt8])] {
        state.withLock { $0.sorted { $0.key < $1.key } }
    }

    public func set(_ value: [UInt8], for key: String) async throws { put(value, for: key) }

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

    public func keep(_ value: [UInt8], for key: String) async { put(value, for: key) }

    public func replaceAll(with records: [(key: String, value: [UInt8])]) async throws {
        state.withLock { $0 = records }
    }

    public func remove(_ key: String) async throws { put(nil, for: key) }

    public func trim(to count: Int) async throws { state.withLock { $0 = Array($0.suffix(count)) } }
}
