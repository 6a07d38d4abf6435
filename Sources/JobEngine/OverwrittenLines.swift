/// Lines that a program has written several times, such as progress bars: a carriage return that no line feed follows
/// begins the line anew.
package enum OverwrittenLines {
    private static let (lineFeed, carriageReturn) = (UInt8(ascii: "\n"), UInt8(ascii: "\r"))

    /// Returns the bytes with each line in its last state, as it stands on a terminal in the end.
    package static func final(of bytes: some Collection<UInt8>) -> [UInt8] {
        guard bytes.contains(carriageReturn) else { return Array(bytes) }
        var shown: [UInt8] = []
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            let end = rest.firstIndex(of: lineFeed)
            shown += state(of: rest[..<(end ?? rest.endIndex)])
            guard let end else { break }
            shown.append(lineFeed)
            rest = rest[(end + 1)...]
        }
        return shown
    }

    /// Returns the last state of a line.
    private static func state(of line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        // After the last ones nothing was written.
        var line = line
        while line.last == carriageReturn { line.removeLast() }
        return line.lastIndex(of: carriageReturn).map { line[($0 + 1)...] } ?? line
    }
}
