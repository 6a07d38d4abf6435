/// Splits a long text at line breaks; a code fence that is cut is closed and opened again.
package enum MessageSplitter {
    /// Pieces of at most `limit` characters. No grapheme is cut; a line longer than the limit is cut in it.
    package static func split(_ text: String, atMost limit: Int) -> [String] {
        guard text.utf8.count > limit, text.count > limit else { return [text] }
        var pieces: [String] = []
        var piece = ""
        var length = 0
        // The line that opened the fence at hand, such as "```json".
        var fence: Substring?
        func close() {
            guard !piece.isEmpty else { return }
            pieces.append(fence == nil ? piece : piece + "\n" + mark)
            piece = fence.map(String.init) ?? ""
            length = piece.count
        }
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let start = line.drop { $0 == " " }
            let isFence = start.hasPrefix(mark)
            // Room for the end of a fence, and for opening it again.
            let room = max(limit - mark.count - 1 - (fence?.count ?? mark.count) - 1, 1)
            for part in chunks(of: line, room) {
                let count = part.count
                if length + count + 1 > room { close() }
                piece += piece.isEmpty ? String(part) : "\n" + part
                length += count + 1
            }
            // What stands behind the mark, when it is short, says what language it is.
            if isFence { fence = fence != nil ? nil : start.count * 5 <= limit ? start : start.prefix(mark.count) }
        }
        fence = nil
        close()
        return pieces
    }

    private static let mark = "```"

    private static func chunks(of line: Substring, _ size: Int) -> [Substring] {
        var chunks: [Substring] = []
        var rest = line
        repeat {
            chunks.append(rest.prefix(size))
            rest = rest.dropFirst(size)
        } while !rest.isEmpty
        return chunks
    }
}
