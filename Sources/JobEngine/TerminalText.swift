/// The text of an output as a terminal shows it: a carriage return that is not followed by a line feed starts its line
/// over, so that only the last state of a progress bar is left. Knows where its bytes are in the output.
package struct TerminalText: Sendable {
    /// A place in the output from which on bytes follow one another.
    private struct Run: Sendable {
        var index: Int
        var place: Int64
    }

    private static let lineFeed = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")

    /// The place of the first byte that was added.
    package let start: Int64
    /// The place after the last byte that was added.
    package private(set) var next: Int64
    /// The bytes of the text. Carriage returns at the end of a line are left in it.
    package private(set) var bytes: [UInt8] = []
    private let keepsStates: Bool
    private var runs: [Run]
    private var lineStart = 0
    private var hasReturned = false

    /// Creates an empty text.
    /// - Parameters:
    ///   - start: The place of the text in the output.
    ///   - keepsStates: True if nothing is left out.
    package init(at start: Int64, keepsStates: Bool = false) {
        self.start = start
        self.keepsStates = keepsStates
        next = start
        runs = [Run(index: 0, place: start)]
    }

    /// Adds the next part of the output.
    package mutating func add(_ chunk: some Sequence<UInt8>) {
        var rest = Array(chunk)[...]
        while !keepsStates, let end = rest.firstIndex(of: Self.carriageReturn) {
            append(rest[..<end])
            bytes.append(Self.carriageReturn)
            next += 1
            hasReturned = true
            rest = rest[(end + 1)...]
        }
        append(rest)
    }

    private mutating func append(_ part: ArraySlice<UInt8>) {
        guard let first = part.first else { return }
        if hasReturned, first != Self.lineFeed {
            bytes.removeSubrange(lineStart...)
            while let last = runs.last, last.index >= lineStart { runs.removeLast() }
            runs.append(Run(index: lineStart, place: next))
        }
        hasReturned = false
        bytes += part
        next += Int64(part.count)
        if let end = part.lastIndex(of: Self.lineFeed) { lineStart = bytes.count - (part.endIndex - end - 1) }
    }

    /// Returns the place in the output after a number of bytes of the text.
    package func place(after count: Int) -> Int64 {
        guard count > 0 else { return start }
        // The first run with a higher index, by halves: each line of a long output may have a run of its own.
        var (low, high) = (0, runs.count)
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].index < count { low = middle + 1 } else { high = middle }
        }
        // A line that was started over at the beginning leaves no run at the start.
        guard low > 0 else { return start }
        return runs[low - 1].place + Int64(count - runs[low - 1].index)
    }
}
