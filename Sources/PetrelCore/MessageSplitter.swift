/// Splits a long text at line breaks; a code fence that is cut is closed and opened again.
package enum MessageSplitter {
    /// Pieces of at most `limit` characters. No grapheme is cut; a line longer than the limit is cut in it.
    package static func split(_ text: String, atMost limit: Int) -> [String] {
        guard text.utf8.count > limit, text.count > limit else { return [text] }
        let fence = "```"
        let room = max(limit - 2 * (fence.count + 1), 1)
        var pieces: [String] = []
        var piece = ""
        var length = 0
        var isOpen = false
        func close() {
            guard !piece.isEmpty else { return }
            pieces.append(isOpen ? piece + "\n" + fence : piece)
            piece = isOpen ? fence : ""
            length = piece.count
        }
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            for part in chunks(of: line, room) {
                let count = part.count
                if length + count + 1 > room { close() }
                piece += piece.isEmpty ? String(part) : "\n" + part
                length += count + 1
            }
            if line.drop(while: { $0 == " " }).hasPrefix(fence) { isOpen.toggle() }
        }
        isOpen = false
        close()
        return pieces
    }

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
