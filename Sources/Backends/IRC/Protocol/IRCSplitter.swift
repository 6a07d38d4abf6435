import PetrelSupport

/// Splits a text into lines that fit into messages.
enum IRCSplitter {
    /// Returns the non-empty lines of a text, each with at most `limit` bytes of UTF-8 and without control characters.
    ///
    /// A longer line is split after a space, or else between two grapheme clusters. A cluster that is longer than a line
    /// is split between two scalars. Only control characters and line breaks are lost.
    static func lines(of text: String, atMost limit: Int) -> [String] {
        var lines: [String] = []
        for line in text.textLines {
            let line = printable(line)
            guard !line.isBlank else { continue }
            split(line, atMost: max(limit, 4)) { lines.append(String($0)) }
        }
        return lines
    }

    /// Returns the number of bytes that are left for a text that the server relays as
    /// `:nick!user@host PRIVMSG target :text`.
    static func room(for target: String, from nick: String, mask: Int, command: String = "PRIVMSG") -> Int {
        let head = 1 + nick.utf8.count + 1 + mask + 1 + command.utf8.count + 1 + target.utf8.count + 2
        return IRCMessage.longest - 2 - head
    }

    /// Removes control characters, which are formatting codes on IRC.
    private static func printable(_ line: Substring) -> String {
        if line.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) { return String(line) }
        var kept = String.UnicodeScalarView()
        for scalar in line.unicodeScalars where scalar == "\t" || scalar.value >= 0x20 && scalar.value != 0x7F {
            kept.append(scalar == "\t" ? " " : scalar)
        }
        return String(kept)
    }

    private static func split(_ line: String, atMost limit: Int, _ add: (Substring) -> Void) {
        var start = line.startIndex
        var length = 0
        // The end of the last word that fits, and the bytes after it.
        var word: (end: String.Index, rest: Int)?
        var index = line.startIndex
        func cut(at end: String.Index) {
            if end > start { add(line[start..<end]) }
            start = end
        }
        while index < line.endIndex {
            let next = line.index(after: index)
            let count = line[index..<next].utf8.count
            if length + count > limit {
                if let found = word, found.rest < limit / 4 {
                    cut(at: found.end)
                    length = found.rest
                }
                if length + count > limit {
                    cut(at: index)
                    length = 0
                }
                word = nil
            }
            if count > limit {
                // Longer than a line.
                for part in scalars(of: line[index..<next], atMost: limit) { add(part) }
                start = next
                length = 0
                word = nil
            } else {
                length += count
                if let found = word { word = (found.end, found.rest + count) }
                if line[index..<next].utf8.first == 0x20 { word = (next, 0) }
            }
            index = next
        }
        cut(at: line.endIndex)
    }

    private static func scalars(of text: Substring, atMost limit: Int) -> [Substring] {
        var parts: [Substring] = []
        var start = text.startIndex
        var length = 0
        for index in text.unicodeScalars.indices {
            let count = UTF8.width(text.unicodeScalars[index])
            if length + count > limit {
                parts.append(text[start..<index])
                start = index
                length = 0
            }
            length += count
        }
        return parts + [text[start...]]
    }
}
