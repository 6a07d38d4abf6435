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

    public func sealed(_ collection: String) -> any RecordCollection { records("sealed \(collection)") }
}
