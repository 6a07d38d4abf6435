/// The last lines of an output, of limited size, and the number of all lines and bytes.
///
/// A carriage return that no line feed follows begins the line anew, as on a terminal.
package struct RecentLines: Sendable {
    private static let (lineFeed, carriageReturn) = (UInt8(ascii: "\n"), UInt8(ascii: "\r"))

    private let most: Int
    private let longest: Int
    private var lines: [[UInt8]] = []
    /// The unfinished line: its beginning, and its end if it is too long.
    private var current: [UInt8] = []
    private var end: [UInt8] = []
    private var isCut = false
    /// True if the next byte begins the line anew.
    private var isReturned = false
    /// The number of bytes.
    package private(set) var bytes: Int64 = 0
    /// The number of line feeds.
    package private(set) var lineFeeds: Int64 = 0

    /// - Parameters:
    ///   - most: The maximum number of lines.
    ///   - longest: The maximum length of a line, in bytes; the rest is left out.
    package init(lines most: Int, longest: Int = 300) {
        self.most = most
        self.longest = longest
    }

    /// Adds a part of the output.
    package mutating func add(_ chunk: [UInt8]) {
        bytes += Int64(chunk.count)
        let (count, start) = Self.ends(of: chunk, most: most)
        lineFeeds += Int64(count)
        var rest = chunk[...]
        if let start {
            // The chunk has more lines than are kept, so that nothing before them is needed.
            lines = []
            beginLine()
            rest = chunk[start...]
        }
        while let end = rest.firstIndex(of: Self.lineFeed) {
            append(rest[..<end])
            lines.append(finished)
            if lines.count > most { lines.removeFirst(lines.count - most) }
            beginLine()
            rest = rest[(end + 1)...]
        }
        append(rest)
    }

    /// Returns the number of line feeds, and the place of the last lines if there are more of them.
    private static func ends(of chunk: [UInt8], most: Int) -> (count: Int, start: Int?) {
        chunk.withUnsafeBufferPointer { bytes in
            var (count, start) = (0, Int?.none)
            for index in stride(from: bytes.count - 1, through: 0, by: -1) where bytes[index] == lineFeed {
                count += 1
                if count == most + 1 { start = index + 1 }
            }
            return (count, start)
        }
    }

    private mutating func beginLine() { (current, end, isCut, isReturned) = ([], [], false, false) }

    /// Adds a part of a line.
    private mutating func append(_ part: ArraySlice<UInt8>) {
        var text = part
        while text.last == Self.carriageReturn { text.removeLast() }
        let isReturnedNow = text.endIndex < part.endIndex
        guard !text.isEmpty else { return isReturned = isReturned || isReturnedNow }
        let last = text.lastIndex(of: Self.carriageReturn)
        if last != nil || isReturned { beginLine() }
        if let last { text = text[(last + 1)...] }
        isReturned = isReturnedNow
        let room = longest - current.count
        current.append(contentsOf: text.prefix(max(room, 0)))
        guard text.count > room else { return }
        end = Array(
            ((isCut ? end : current) + text.dropFirst(isCut ? 0 : max(room, 0)).suffix(longest)).suffix(longest))
        isCut = true
    }

    private var finished: [UInt8] { isCut ? current + "…".utf8 : current }

    /// The last lines as text.
    package var text: String {
        let all = current.isEmpty ? lines : lines + [isCut ? "…".utf8 + end : current]
        return String(decoding: Array(all.suffix(most).joined(separator: [Self.lineFeed])), as: UTF8.self)
    }
}
