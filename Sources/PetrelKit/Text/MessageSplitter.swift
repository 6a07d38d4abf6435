import PetrelSupport

/// Splits long texts at line breaks. A fence that spans several pieces is closed and reopened.
public enum MessageSplitter {
    /// Returns pieces of at most `limit` Unicode scalars, which chat services count. A line that is longer than a piece
    /// is split, but a grapheme cluster is not, unless it is longer than a piece itself.
    /// - Parameter mostLines: the maximum number of lines of a piece, besides the marks of fences.
    public static func split(_ text: String, atMost limit: Int, mostLines: Int = .max) -> [String] {
        let isLong = text.utf8.count > limit && text.unicodeScalars.count > limit
        guard isLong || mostLines < .max && text[...].textLines.count > mostLines else { return [text] }
        var pieces = MessagePieces(limit, mostLines)
        for block in TextBlock.blocks(of: text) {
            switch block {
            case .lines(let lines): for line in lines { pieces.add(line) }
            case .code(let language, let lines):
                let (mark, lines) = fence(around: lines, limit)
                // A name that fills the piece is not the name of a language.
                pieces.open(mark, language.flatMap { $0.utf8.count <= limit / 8 ? $0 : nil })
                for line in lines { pieces.add(line) }
                pieces.close()
            }
        }
        return pieces.finish()
    }

    /// Returns the mark around the lines of a block, and the lines. A mark has to be longer than any run of backticks
    /// inside; where that would take up the pieces, the runs are interrupted by invisible characters instead.
    private static func fence(around lines: [Substring], _ limit: Int) -> (mark: String, lines: [Substring]) {
        let mark = TextBlock.mark(around: lines)
        guard mark.utf8.count > max(limit / 8, TextBlock.mark.utf8.count) else { return (mark, lines) }
        return (TextBlock.mark, lines.map { interrupted($0)[...] })
    }

    /// Returns a line with an invisible character after every two backticks in a row.
    private static func interrupted(_ line: Substring) -> String {
        var text = String.UnicodeScalarView()
        var run = 0
        for scalar in line.unicodeScalars {
            run = scalar == "`" ? run + 1 : 0
            if run == 3 {
                text.append("\u{200B}")
                run = 1
            }
            text.append(scalar)
        }
        return String(text)
    }
}

private struct MessagePieces {
    private let limit: Int
    private let mostLines: Int
    private var pieces: [String] = []
    private var piece = ""
    private var length = 0
    private var lines = 0
    /// The line that opens the current fence, such as "```json", and the line that closes it.
    private var fence: String?
    private var closing = TextBlock.mark
    /// True if the current piece contains the opening line.
    private var isOpened = false

    init(_ limit: Int, _ mostLines: Int) {
        self.limit = limit
        self.mostLines = mostLines
    }

    /// The number of scalars that are left in the piece, without those for closing and reopening the fence.
    private var room: Int {
        let mark = closing.utf8.count
        return max(limit - mark - 1 - (fence?.utf8.count ?? mark) - 1, 1)
    }

    mutating func add(_ line: Substring) {
        for (number, chunk) in Self.chunks(of: line, max(room - 1, 1)).enumerated() {
            let part = fence == nil ? Self.unfenced(chunk) : chunk
            let count = part.unicodeScalars.count
            let opening = isOpened ? 0 : fence.map { $0.utf8.count + 1 } ?? 0
            if number > 0 || length + opening + count + 1 > room || lines >= mostLines { cut() }
            openFence()
            append(part, count)
            lines += 1
        }
    }

    /// Returns a line with an invisible character before its backticks, so that it does not become a fence in its
    /// piece.
    private static func unfenced(_ part: Substring) -> Substring {
        part.utf8.drop { $0 == 0x20 }.starts(with: TextBlock.mark.utf8) ? "\u{200B}" + part : part
    }

    /// Begins a fence. Its opening line is added with its first line, so that no piece ends with an empty block.
    mutating func open(_ mark: String, _ language: Substring?) {
        fence = mark + (language ?? "")
        closing = mark
        isOpened = false
    }

    mutating func close() {
        // An empty block needs space for its marks, too.
        if !isOpened { add("") }
        append(closing[...], closing.utf8.count)
        fence = nil
        closing = TextBlock.mark
    }

    mutating func finish() -> [String] {
        cut()
        return pieces
    }

    private mutating func openFence() {
        guard let fence, !isOpened else { return }
        append(fence[...], fence.utf8.count)
        isOpened = true
    }

    private mutating func append(_ part: Substring, _ count: Int) {
        piece += piece.isEmpty ? String(part) : "\n" + part
        length += count + 1
    }

    private mutating func cut() {
        // Services reject messages that contain only white space.
        if piece.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) {
            pieces.append(fence != nil && isOpened ? piece + "\n" + closing : piece)
        }
        lines = 0
        piece = fence ?? ""
        length = piece.utf8.count
        isOpened = true
    }

    private static func chunks(of line: Substring, _ size: Int) -> [Substring] {
        guard line.utf8.count > size, line.unicodeScalars.count > size else { return [line] }
        var chunks: [Substring] = []
        var rest = line
        while !rest.isEmpty {
            let end = end(of: rest, size)
            chunks.append(rest[..<end])
            rest = rest[end...]
        }
        return chunks
    }

    private static func end(of text: Substring, _ size: Int) -> String.Index {
        var end = text.startIndex
        var count = 0
        while end < text.endIndex {
            let next = text.index(after: end)
            count += text[end..<next].unicodeScalars.count
            if count > size { break }
            end = next
        }
        return end > text.startIndex ? end : text.unicodeScalars.index(text.startIndex, offsetBy: size)
    }
}
