public import Foundation

/// A collection of append-only logs by name, such as the output of jobs. No log is ever whole in memory.
///
/// A place in a log is a number of bytes from its beginning. Places stay valid when the beginning of a log is removed.
public protocol LogCollection: Sendable {
    /// Appends bytes to a log, which need not exist yet. They can be read within a tenth of a second, and survive the
    /// death of the process then.
    ///
    /// The call returns at once while little is waiting to be written, and otherwise when there is room again. Throws if
    /// writes have been failing for a minute, or if the task is cancelled meanwhile; the bytes are then not part of the
    /// log.
    /// - Parameter stream: a number from 1 that marks the bytes, such as 1 for standard output and 2 for standard error.
    func append(_ bytes: [UInt8], stream: UInt8, to log: String) async throws
    /// Appends a remark of one line, such as one about missing bytes, as bytes of the stream ``LogPart/remarks``. It has
    /// 255 bytes at most. The call does not wait: while writes are failing, the remark is buffered in memory.
    func note(_ remark: String, in log: String)
    /// Waits until everything that was appended before can be read and survives the death of the process. Returns false
    /// if writes have been failing for a minute, or if the task is cancelled meanwhile.
    func written() async -> Bool
    /// Reads a part of a log, from a place on.
    /// - Parameter limit: the maximum number of bytes.
    func read(_ log: String, from place: Int64, limit: Int) async throws -> LogPart
    /// Returns the extent of a log; nil if the log does not exist.
    func extent(of log: String) async throws -> LogExtent?
    /// Removes a log.
    func remove(_ log: String) async throws
    /// Removes bytes at the beginning of a log until at most this number is left.
    func trim(_ log: String, toBytes bytes: Int64) async throws
    /// Returns the names of logs that were last written before a time, in their order, from the one after a name on.
    /// - Parameter limit: the maximum number of names.
    func names(before time: Date, after name: String?, limit: Int) async throws -> [String]
    /// Removes the oldest bytes of the collection until at most this number is left. Returns the number of removed bytes.
    /// - Parameter spared: the logs of which bytes are removed only when no other log has any.
    @discardableResult func trim(toBytes bytes: Int64, sparing spared: Set<String>) async throws -> Int64
}

/// The extent of a log.
public struct LogExtent: Sendable, Hashable {
    /// The place of the first byte that is left.
    public var start: Int64
    /// The place after the last byte: the number of bytes that were ever appended.
    public var end: Int64

    /// Creates an extent.
    public init(start: Int64, end: Int64) {
        self.start = start
        self.end = end
    }
}

/// A part of a log.
public struct LogPart: Sendable, Hashable {
    /// The stream of remarks; see ``LogCollection/note(_:in:)``.
    public static let remarks: UInt8 = 0

    /// Bytes that came from one stream without a byte of another between them.
    public struct Piece: Sendable, Hashable {
        /// The mark of the stream.
        public var stream: UInt8
        /// The bytes.
        public var bytes: [UInt8]

        /// Creates a piece.
        public init(stream: UInt8, bytes: [UInt8]) {
            self.stream = stream
            self.bytes = bytes
        }
    }

    /// The place of the first byte of the part. It is higher than requested if the beginning of the log was removed.
    public var place: Int64
    /// The pieces, in the order in which they were appended.
    public var pieces: [Piece]
    /// The extent of the log when it was read.
    public var extent: LogExtent

    /// Creates a part.
    public init(place: Int64, pieces: [Piece], extent: LogExtent) {
        self.place = place
        self.pieces = pieces
        self.extent = extent
    }

    /// The bytes of all streams.
    public var bytes: [UInt8] { pieces.flatMap(\.bytes) }
    /// The place after the part.
    public var next: Int64 { pieces.reduce(place) { $0 + Int64($1.bytes.count) } }
}
