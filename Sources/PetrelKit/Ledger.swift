/// A record of the events that a module has announced, so that none is announced twice or left out when the module
/// reads the source of the events again after a gap.
///
/// An entry is stored in one transaction with the message that announces it; see ``MessageTransaction``.
public protocol Ledger: Sendable {
    /// Returns the number of the newest entry; 0 if none exists.
    func last() async throws -> Int64
    /// Returns the entries that were never announced, in their order.
    ///
    /// Every other entry is matched with a stored one: with the one of the same ``LedgerEntry/source``, otherwise with
    /// the oldest one of the same content that has no source yet, which is then assigned.
    func unsaid(among entries: [LedgerEntry]) async throws -> [LedgerEntry]
    /// Adds an entry without a message, for an event that can never be announced.
    func note(_ entry: LedgerEntry)
    /// Removes old entries.
    /// - Parameters:
    ///   - number: the number through which all entries are removed.
    ///   - heard: the number through which entries without a source are removed.
    func forget(through number: Int64, heardThrough heard: Int64) async throws
}

/// An event that was announced.
public struct LedgerEntry: Sendable, Hashable {
    /// A digest of the content, by which contents are compared.
    public var content: [UInt8]
    /// The identifier of the event at its source; nil if it is not known.
    public var source: String?

    /// Creates an entry.
    public init(content: [UInt8], source: String? = nil) {
        self.content = content
        self.source = source
    }
}

/// The changes that the store commits in one transaction with a message, so that a crash cannot separate them.
public struct MessageTransaction: Sendable {
    /// An entry that is added to the module's ledger, if any.
    public var entry: LedgerEntry?
    /// A record of the module that is removed, if any.
    public var closes: (collection: String, key: String)?
    /// The age of the event that the message reports. A late message states its delay.
    public var age: Duration

    /// Creates a transaction. By default it contains only the message.
    public init(entry: LedgerEntry? = nil, closes: (collection: String, key: String)? = nil, age: Duration = .zero) {
        self.entry = entry
        self.closes = closes
        self.age = age
    }
}
