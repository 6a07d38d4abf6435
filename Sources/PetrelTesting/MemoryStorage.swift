public import PetrelKit

/// Storage for tests, gone with the process.
public final class MemoryStorage: Storage {
    private let collections = Locked<[String: MemoryRecords]>([:])

    public init() {}

    public func records(_ collection: String) -> any RecordCollection {
        collections.withLock { collections in
            let records = collections[collection] ?? MemoryRecords()
            collections[collection] = records
            return records
        }
    }
}

private final class MemoryRecords: RecordCollection {
    private let state = Locked<[(key: String, value: [UInt8])]>([])

    func value(for key: String) async throws -> [UInt8]? { state.withLock { $0.first { $0.key == key }?.value } }

    func all() async throws -> [(key: String, value: [UInt8])] { state.withLock { $0.sorted { $0.key < $1.key } } }

    func set(_ value: [UInt8], for key: String) async throws {
        state.withLock { records in
            if let index = records.firstIndex(where: { $0.key == key }) {
                records[index].value = value
            } else {
                records.append((key, value))
            }
        }
    }

    func replaceAll(with records: [(key: String, value: [UInt8])]) async throws { state.withLock { $0 = records } }

    func remove(_ key: String) async throws { state.withLock { $0.removeAll { $0.key == key } } }

    func trim(to count: Int) async throws { state.withLock { $0 = Array($0.suffix(count)) } }
}
