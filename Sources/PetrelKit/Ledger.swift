/// What a module has said of its own accord, so that nothing is said twice or left out when the source of it is asked
/// again after a gap. It is written together with what is said: see ``MessageTransaction``.
public protocol Ledger: Sendable {
    /// The number of the newest entry; 0 where there is none.
    func last() async throws -> Int64
    /// Those of the entries that were never said, in their order. The others are paired: each with the entry of its
    /// ``LedgerEntry/source``, else with the oldest one of its content that has no source yet and has it from then on.
    func unsaid(among entries: [LedgerEntry]) async throws -> [LedgerEntry]
    /// What could not be said, and never will be, counts as said.
    func note(_ entry: LedgerEntry)
    /// Removes what is as old as this entry, or older, and what never got a source up to another one.
    func forget(through number: Int64, heardThrough heard: Int64) async throws
}

/// One thing that was said.
public struct LedgerEntry: Sendable, Hashable {
    /// Tells contents apart: a digest of it.
    public var content: [UInt8]
    /// What it was called where it came from; nil where that is not known.
    public var source: String?

    public init(content: [UInt8], source: String? = nil) {
        self.content = content
        self.source = source
    }
}

/// What the store keeps in one step with something that is said.
public struct MessageTransaction: Sendable {
    public var entry: LedgerEntry?
    /// A record of the module's that is removed.
    public var closes: (collection: String, key: String)?
    /// How long ago this should have been said.
    public var age: Duration

    public init(entry: LedgerEntry? = nil, closes: (collection: String, key: String)? = nil, age: Duration = .zero) {
        self.entry = entry
        self.closes = closes
        self.age = age
    }
}
