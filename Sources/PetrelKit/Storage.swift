/// Durable state, one space for each module. PetrelStore implements it on SQLite; a PostgreSQL store can follow.
public protocol Storage: Sendable {
    /// A named collection of the module's records. Naming it makes it.
    func records(_ collection: String) -> any RecordCollection
    /// The same for secrets: what lies on the disk is encrypted. A record whose key was lost reads as absent.
    func sealed(_ collection: String) -> any RecordCollection
}

/// Small values by key. A write has reached the operating system when the call returns.
public protocol RecordCollection: Sendable {
    func value(for key: String) async throws -> [UInt8]?
    /// All records, by key.
    func all() async throws -> [(key: String, value: [UInt8])]
    func set(_ value: [UInt8], for key: String) async throws
    /// Replaces the whole collection in one transaction.
    func replaceAll(with records: [(key: String, value: [UInt8])]) async throws
    func remove(_ key: String) async throws
    /// Removes the oldest records until at most `count` are left.
    func trim(to count: Int) async throws
}
