/// Splits a stream of bytes into lines of limited length. It keeps at most one line.
package struct LineSplitter: Sendable {
    /// The result of reading.
    package enum Line: Sendable, Equatable {
        /// A line without its line feed.
        case line([UInt8])
        /// A line that exceeds the limit. Its bytes are dropped.
        case tooLong
    }

    private let limit: Int
    private var rest: [UInt8] = []
    private var isSkipping = false

    /// - Parameter limit: The maximum length of a line, in bytes.
    package init(limit: Int) { self.limit = limit }

    /// True if an unfinished line was received.
    package var hasRest: Bool { isSkipping || !rest.isEmpty }

    /// Returns the lines that end in a chunk of the stream.
    package mutating func feed(_ chunk: some Collection<UInt8>) -> [Line] {
        var lines: [Line] = []
        var remaining = chunk[...]
        while let end = remaining.firstIndex(of: UInt8(ascii: "\n")) {
            if let line = finish(remaining[..<end]) { lines.append(line) }
            remaining = remaining[remaining.index(after: end)...]
        }
        guard !isSkipping else { return lines }
        guard rest.count + remaining.count <= limit else {
            rest = []
            isSkipping = true
            return lines + [.tooLong]
        }
        rest.append(contentsOf: remaining)
        return lines
    }

    private mutating func finish(_ end: some Collection<UInt8>) -> Line? {
        defer {
            rest = []
            isSkipping = false
        }
        guard !isSkipping else { return nil }
        guard rest.count + end.count <= limit else { return .tooLong }
        rest.append(contentsOf: end)
        if rest.last == UInt8(ascii: "\r") { rest.removeLast() }
        return .line(rest)
    }
}
