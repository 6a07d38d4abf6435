/// The last lines of an output, of limited size, and the number of all lines and bytes.
package struct RecentLines: Sendable {
    private let most: Int
    private let longest: Int
    private var lines: [[UInt8]] = []
    private var current: [UInt8] = []
    private var isCut = false
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
    package mutating func add(_ chunk: some Collection<UInt8>) {
        bytes += Int64(chunk.count)
        var rest = chunk[...]
        while let end = rest.firstIndex(of: 0x0A) {
            append(rest[..<end])
            if isCut { current.append(contentsOf: "…".utf8) }
            lines.append(current)
            if lines.count > most { lines.removeFirst(lines.count - most) }
            (current, isCut) = ([], false)
            lineFeeds += 1
            rest = rest[rest.index(after: end)...]
        }
        append(rest)
    }

    private mutating func append(_ part: some Collection<UInt8>) {
        let room = longest - current.count
        if part.count > room { isCut = true }
        current.append(contentsOf: part.prefix(max(room, 0)))
    }

    /// The last lines as text.
    package var text: String {
        let all = current.isEmpty ? lines : lines + [isCut ? current + "…".utf8 : current]
        return String(decoding: Array(all.suffix(most).joined(separator: [0x0A])), as: UTF8.self)
    }
}
