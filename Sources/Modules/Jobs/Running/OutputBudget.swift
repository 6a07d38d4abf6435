import JobEngine

/// Decides which bytes of an output are kept if the records of jobs are not: the beginning of each stream, from which
/// replies are made, and the last bytes, which the reply about a failure shows.
struct OutputBudget: Sendable {
    /// A piece of the output.
    struct Piece: Sendable, Equatable {
        var stream: ProgramStream
        var bytes: ArraySlice<UInt8>
    }

    /// The numbers of bytes that are kept of the beginning of each stream. That of standard output exceeds the longest
    /// JSON that is read; both exceed the longest excerpt that is shown.
    static let standard: [ProgramStream: Int] = [.output: (1 << 20) + (128 << 10), .error: 576 << 10]
    /// The number of bytes that are kept of the end.
    private static let tail = 16 << 10

    private var left: [ProgramStream: Int]
    private var last: [Piece] = []
    private var size = 0
    private var isExceeded = false

    init(_ limits: [ProgramStream: Int] = standard) { left = limits }

    /// Takes bytes, and returns those that belong to the beginning of their stream.
    mutating func take(_ bytes: [UInt8], from stream: ProgramStream) -> [UInt8] {
        let first = Array(bytes.prefix(left[stream, default: 0]))
        left[stream, default: 0] -= first.count
        if first.count < bytes.count { isExceeded = true }
        last.append(Piece(stream: stream, bytes: bytes.suffix(Self.tail)))
        size += last[last.count - 1].bytes.count
        while size > Self.tail { drop(size - Self.tail) }
        return first
    }

    /// Removes bytes of the oldest piece.
    private mutating func drop(_ surplus: Int) {
        let count = min(surplus, last[0].bytes.count)
        last[0].bytes.removeFirst(count)
        if last[0].bytes.isEmpty { last.removeFirst() }
        size -= count
    }

    /// The last bytes of both streams, in the order in which they came; empty if all bytes belong to the beginnings.
    var end: [Piece] { isExceeded ? last : [] }
}
