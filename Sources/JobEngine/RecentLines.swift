/// The last lines of an output as a terminal shows them, of limited size, and the number of all lines and bytes.
package struct RecentLines: Sendable {
    /// The line that has not ended yet.
    private struct Line: Sendable {
        var first: [UInt8] = []
        /// The last bytes, if there are more than the first ones.
        var last: [UInt8] = []
        var count = 0

        mutating func append(_ part: ArraySlice<UInt8>, longest: Int) {
            count += part.count
            defer { first += part.prefix(max(longest - first.count, 0)) }
            guard count > longest else { return }
            if last.isEmpty { last = first }
            // Cut only now and then, because a line may grow byte by byte.
            last += part.suffix(longest)
            if last.count > 4 * longest { last.removeFirst(last.count - longest) }
        }
    }

    private static let lineFeed = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")

    private let most: Int
    private let longest: Int
    private var lines: [[UInt8]] = []
    private var line = Line()
    /// True if the line ends with a carriage return, so that what follows starts it over.
    private var hasReturned = false
    /// The number of bytes.
    package private(set) var bytes: Int64 = 0
    /// The number of line feeds.
    package private(set) var lineFeeds: Int64 = 0

    /// - Parameters:
    ///   - most: The maximum number of lines.
    ///   - longest: The maximum length of a line, in bytes: the beginning of a longer line is kept, or its end while it
    ///     has not ended.
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
            (lines, line, hasReturned) = ([], Line(), false)
            rest = chunk[start...]
        }
        while let end = rest.firstIndex(of: Self.lineFeed) {
            append(rest[..<end])
            lines.append(finished)
            if lines.count > most { lines.removeFirst(lines.count - most) }
            (line, hasReturned) = (Line(), false)
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

    /// Adds a part of a line. A carriage return that is not at its end starts the line over.
    private mutating func append(_ part: ArraySlice<UInt8>) {
        guard let last = part.lastIndex(where: { $0 != Self.carriageReturn }) else {
            if !part.isEmpty { hasReturned = true }
            return
        }
        var text = part[...last]
        if let end = text.lastIndex(of: Self.carriageReturn) {
            text = text[(end + 1)...]
            line = Line()
        } else if hasReturned {
            line = Line()
        }
        line.append(text, longest: longest)
        hasReturned = last < part.endIndex - 1
    }

    private var finished: [UInt8] {
        line.count > longest ? Self.withoutBrokenEnd(line.first) + Array("…".utf8) : line.first
    }

    /// The line that has not ended, with its end if it is too long.
    private var unfinished: [UInt8] {
        line.count > longest ? "…".utf8 + Array(line.last.suffix(longest).drop { UTF8.isContinuation($0) }) : line.first
    }

    /// Removes the beginning of a character whose end is missing.
    private static func withoutBrokenEnd(_ bytes: [UInt8]) -> [UInt8] {
        guard let lead = bytes.suffix(4).lastIndex(where: { !UTF8.isContinuation($0) }) else { return bytes }
        let length = bytes[lead] >= 0xF0 ? 4 : bytes[lead] >= 0xE0 ? 3 : bytes[lead] >= 0xC0 ? 2 : 1
        return lead + length > bytes.count ? Array(bytes[..<lead]) : bytes
    }

    /// The last lines as text.
    package var text: String {
        let all = line.count == 0 ? lines : lines + [unfinished]
        return String(decoding: Array(all.suffix(most).joined(separator: [Self.lineFeed])), as: UTF8.self)
    }
}
