/// The durable state of one module or backend.
public protocol Storage: Sendable {
    /// Returns a collection of records. It need not exist yet.
    func records(_ collection: String) -> any RecordCollection
    /// Returns a collection of records that are encrypted on disk. A record whose key was lost reads as absent.
    func sealed(_ collection: String) -> any RecordCollection
    /// Returns a collection of logs. It need not exist yet.
    func logs(_ collection: String) -> any LogCollection
    /// The events that the module has announced.
    var ledger: any Ledger { get }
    /// Waits until all queued writes and messages are stored. Returns false if writes are failing.
    func written() async -> Bool
    /// False if records of what has ended, such as the output of jobs, are not kept, because the storage is the memory of
    /// a process that is often replaced.
    var keepsRecords: Bool { get }
}

extension Storage {
    /// True.
    public var keepsRecords: Bool { true }
}

/// A collection of small values by key.
public protocol RecordCollection: Sendable {
    /// Returns the value of a key; nil if none exists.
    func value(for key: String) async throws -> [UInt8]?
    /// Returns the values of those keys that exist.
    func values(for keys: [String]) async throws -> [String: [UInt8]]
    /// Returns all records, sorted by key.
    func all() async throws -> [(key: String, value: [UInt8])]
    /// Returns the records that follow a key in the order of their keys, or in the reverse order.
    /// - Parameters:
    ///   - key: the key that the records follow; nil to begin with the first one.
    ///   - limit: the maximum number of records.
    func page(after key: String?, limit: Int, backwards: Bool) async throws -> [(key: String, value: [UInt8])]
    /// Sets the value of a key. The write has reached the operating system when the call returns.
    func set(_ value: [UInt8], for key: String) async throws
    /// Queues the write of a value, or the removal of the key if the value is nil.
    ///
    /// Writes happen in the order of the calls and are grouped. While writes are failing they are buffered in memory
    /// and retried.
    func put(_ value: [UInt8]?, for key: String)
    /// Queues the write of a value, and returns once a crash of the process cannot lose it. The value may reach the
    /// database later.
    func keep(_ value: [UInt8], for key: String) async
    /// Replaces all records in one transaction.
    func replaceAll(with records: [(key: String, value: [UInt8])]) async throws
    /// Removes the record of a key.
    func remove(_ key: String) async throws
    /// Removes the oldest records until at most `count` are left.
    func trim(to count: Int) async throws
}

extension RecordCollection {
    /// Returns the values of those keys that exist. Collections in a database read them at once.
    public func values(for keys: [String]) async throws -> [String: [UInt8]] {
        var values: [String: [UInt8]] = [:]
        for key in keys { values[key] = try await value(for: key) }
        return values
    }

    /// Returns a page of ``all()``. Collections in a database read only the page.
    public func page(after key: String?, limit: Int, backwards: Bool) async throws -> [(key: String, value: [UInt8])] {
        let all = try await all()
        let sorted = backwards ? all.reversed() : all
        return Array(
            sorted.filter { record in key.map { backwards ? record.key < $0 : record.key > $0 } ?? true }.prefix(limit))
    }
}
