/// Records that are gone with the process.
public final class MemoryRecords: RecordCollection {
    private let state = Locked<[(key: String, value: [UInt8])]>([])

    public init() {}

    public func value(for key: String) async throws -> [UInt8]? { state.withLock { $0.first { $0.key == key }?.value } }

    public func all() async throws -> [(key: String, value: [UInt8])] {
        state.withLock { $0.sorted { $0.key < $1.key } }
    }

    public func set(_ value: [UInt8], for key: String) async throws {
        state.withLock { records in
            if let index = records.firstIndex(where: { $0.key == key }) {
                records[index].value = value
            } else {
                records.append((key, value))
            }
        }
    }

    public func replaceAll(with records: [(key: String, value: [UInt8])]) async throws {
        state.withLock { $0 = records }
    }

    public func remove(_ key: String) async throws { state.withLock { $0.removeAll { $0.key == key } } }

    public func trim(to count: Int) async throws { state.withLock { $0 = Array($0.suffix(count)) } }
}
