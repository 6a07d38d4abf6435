/// Durable state, one space for each module. PetrelStore implements it on SQLite; a PostgreSQL store can follow.
public protocol Storage: Sendable {
    /// A named collection of the module's records. Naming it makes it.
    func records(_ collection: String) -> any RecordCollection
    /// The same for secrets: what lies on the disk is encrypted. A record whose key was lost reads as absent.
    func sealed(_ collection: String) -> any RecordCollection
    /// What the module has said of its own accord.
    var ledger: any Ledger { get }
    /// Returns once everything that was ``RecordCollection/put(_:for:)`` or said is in the store; false where the store
    /// takes nothing at the moment.
    func written() async -> Bool
}

/// Small values by key. A write has reached the operating system when the call returns.
public protocol RecordCollection: Sendable {
    func value(for key: String) async throws -> [UInt8]?
    /// All records, by key.
    func all() async throws -> [(key: String, value: [UInt8])]
    func set(_ value: [UInt8], for key: String) async throws
    /// Writes soon, together with what else there is to write, in the order of the calls; nil removes. What the store
    /// does not take at the moment waits in memory and is tried again.
    func put(_ value: [UInt8]?, for key: String)
    /// Like ``put(_:for:)``, and returns once a crash of the process cannot lose it; it may come into the store later.
    func keep(_ value: [UInt8], for key: String) async
    /// Replaces the whole collection in one transaction.
    func replaceAll(with records: [(key: String, value: [UInt8])]) async throws
    func remove(_ key: String) async throws
    /// Removes the oldest records until at most `count` are left.
    func trim(to count: Int) async throws
}
