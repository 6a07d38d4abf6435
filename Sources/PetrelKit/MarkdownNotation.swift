/// A converter from the CommonMark subset that replies use to the markup of a chat service.
public struct MarkdownNotation: Sendable {
    /// The marks before and after bold text; likewise for the others.
    private let bold: String
    private let italic: String
    private let struck: String
    /// True if a fence may name the language of its content.
    private let keepsLanguages: Bool
    private let escape: @Sendable (_ text: String) -> String
    private let link: @Sendable (_ label: String, _ address: String) -> String

    /// Creates a converter.
    /// - Parameters:
    ///   - bold: the marks around bold text.
    ///   - italic: the marks around italic text.
    ///   - struck: the marks around struck text.
    ///   - keepsLanguages: true if a fence may name the language of its content.
    ///   - escape: returns the markup for a literal text.
    ///   - link: returns the markup for a link with this label and address, which are not escaped yet.
    public init(
        bold: String, italic: String, struck: String, keepsLanguages: Bool,
        escape: @escaping @Sendable (_ text: String) -> String,
        link: @escaping @Sendable (_ label: String, _ address: String) -> String
    ) {
        self.bold = bold
        self.italic = italic
        self.struck = struck
        self.keepsLanguages = keepsLanguages
        self.escape = escape
        self.link = link
    }

    /// Returns a text in the markup of the service.
    public func rewrite(_ markdown: String) -> String {
        TextBlock.blocks(of: markdown).map { block in
            switch block {
            case .lines(let lines): lines.map { line($0) }.joined(separator: "\n")
            case .code(let language, let lines): code(language, lines)
            }
        }.joined(separator: "\n")
    }

    private func code(_ language: Substring?, _ lines: [Substring]) -> String {
        let opening = TextBlock.mark + (keepsLanguages ? language ?? "" : "")
        return ([opening] + lines.map { escape(Self.withoutMarks($0)) } + [TextBlock.mark]).joined(separator: "\n")
    }

    /// Replaces the backticks of a line that would end the block.
    private static func withoutMarks(_ line: Substring) -> String {
        guard line.unicodeScalars.contains(TextBlock.mark.unicodeScalars) else { return String(line) }
        var text = String.UnicodeScalarView()
        text.append(contentsOf: line.unicodeScalars.map { $0 == "`" ? "ˋ" : $0 })
        return String(text)
    }

    /// Converts a line, which may be a heading or a list item.
    private func line(_ line: Substring) -> String {
        let text = Array(line.unicodeScalars)
        let indent = text.prefix { $0 == " " }.count
        let rest = text[indent...]
        let level = rest.prefix { $0 == "#" }.count
        if (1...6).contains(level), rest.dropFirst(level).first == " " {
            return bold + inline(rest.dropFirst(level + 1), isBold: true) + bold
        }
        let blanks = String(repeating: " ", count: indent)
        if let mark = rest.first, mark == "-" || mark == "*" || mark == "+", rest.dropFirst().first == " " {
            return blanks + "• " + inline(rest.dropFirst(2))
        }
        return blanks + inline(rest)
    }

    /// Converts the text of a line.
    /// - Parameter isBold: true within bold text, where no further bold text can begin.
    private func inline(_ text: ArraySlice<Unicode.Scalar>, isBold: Bool = false) -> String {
        var result = ""
        var search = MarkSearch(text)
        var place = text.startIndex
        var isInWord = false
        while place < text.endIndex {
            if let (part, end) = span(at: place, &search, isInWord, isBold) {
                result += part
                place = end
                isInWord = false
            } else {
                // A run of backticks that does not begin a code span is literal as a whole.
                let end = text[place] == "`" ? place + text[place...].prefix { $0 == "`" }.count : place + 1
                for scalar in text[place..<end] { result += escape(String(scalar)) }
                isInWord = WebLink.isWord(text[place])
                place = end
            }
        }
        return result
    }

    /// Converts the span that begins at this index, and returns it with the index after it; nil if none begins here.
    /// - Parameter isInWord: true if a letter or a digit precedes it.
    private func span(
        at place: Int, _ search: inout MarkSearch, _ isInWord: Bool, _ isBold: Bool
    ) -> (String, end: Int)? {
        let text = search.text
        switch text[place] {
        case "\\":
            guard place + 1 < text.endIndex, Markdown.isPunctuation(text[place + 1]) else { return nil }
            return (escape(String(text[place + 1])), place + 2)
        case "`":
            guard let span = CodeSpan(text[place...]) else { return nil }
            // Chat services end a code span at the first backtick.
            let content = span.content.map { $0 == "`" ? "ˋ" : $0 }
            return ("`\(escape(Self.string(content[...])))`", span.end)
        case "_" where isInWord: return nil
        case "*", "_": return emphasis(at: place, &search, isBold)
        case "~": return enclosed(at: place, by: "~~", as: struck, &search, isBold)
        case "[": return reference(at: place, &search)
        case "h" where !isInWord, "H" where !isInWord: return address(at: place, text)
        default: return nil
        }
    }

    private func emphasis(at place: Int, _ search: inout MarkSearch, _ isBold: Bool) -> (String, end: Int)? {
        for (mark, notation) in [("**", bold), ("__", bold), ("*", italic), ("_", italic)] {
            let shown = isBold && notation == bold ? "" : notation
            if let found = enclosed(at: place, by: mark, as: shown, &search, isBold || notation == bold) {
                return found
            }
        }
        return nil
    }

    private func enclosed(
        at place: Int, by mark: String, as notation: String, _ search: inout MarkSearch, _ isBold: Bool
    ) -> (String, end: Int)? {
        let (text, length) = (search.text, mark.utf8.count)
        guard text[place...].starts(with: mark.unicodeScalars), let end = search.next(mark, from: place + length) else {
            return nil
        }
        let inner = text[(place + length)..<end]
        guard !inner.isEmpty, inner.first != " ", inner.last != " " else { return nil }
        let next = end + length
        // `_a_b` is an identifier, not emphasis.
        if mark.utf8.first == UInt8(ascii: "_"), next < text.endIndex, WebLink.isWord(text[next]) { return nil }
        return (notation + inline(inner, isBold: isBold) + notation, next)
    }

    /// Converts `[label](address)`, with or without a title after the address.
    private func reference(at place: Int, _ search: inout MarkSearch) -> (String, end: Int)? {
        let text = search.text
        guard let middle = search.next("](", from: place + 1) else { return nil }
        let label = text[(place + 1)..<middle]
        guard !label.isEmpty, !label.contains("["), let (address, end) = Self.destination(text[(middle + 2)...]) else {
            return nil
        }
        return (shown(Markdown.plain(label), address), end)
    }

    /// Returns a link, or the label and the address if the label looks like another address.
    private func shown(_ label: String, _ address: String) -> String {
        WebLink.misleads(label, about: address) ? "\(escape(label)) (\(link(address, address)))" : link(label, address)
    }

    /// Returns the address before the closing bracket, and the index after that. Brackets inside must be balanced.
    private static func destination(_ text: ArraySlice<Unicode.Scalar>) -> (String, end: Int)? {
        var depth = 0
        var end: Int?
        var place = text.startIndex
        while place < text.endIndex {
            switch text[place] {
            case " ": if end == nil { end = place }
            case "(" where end == nil: depth += 1
            case ")" where depth > 0 && end == nil: depth -= 1
            case ")":
                let address = string(text[..<(end ?? place)])
                let isWeb = ["http://", "https://"].contains { address.lowercased().utf8.starts(with: $0.utf8) }
                return isWeb ? (address, place + 1) : nil
            default: break
            }
            place += 1
        }
        return nil
    }

    /// Returns a bare address, in which marks have no meaning, and the index after it.
    private func address(at place: Int, _ text: ArraySlice<Unicode.Scalar>) -> (String, end: Int)? {
        let rest = Self.string(text[place...])
        let scalars = rest[...].unicodeScalars
        guard let end = WebLink.end(of: scalars.startIndex, in: scalars) else { return nil }
        let address = String(rest[..<end])
        return (escape(address), place + address.unicodeScalars.count)
    }

    private static func string(_ text: some Sequence<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: text)
        return String(view)
    }
}

/// A search for marks in one line. It remembers the marks that do not occur, so that the total time stays linear.
private struct MarkSearch {
    let text: ArraySlice<Unicode.Scalar>
    private var missing: Set<String> = []

    init(_ text: ArraySlice<Unicode.Scalar>) {
        self.text = text
    }

    /// Returns the next index of a mark that is not escaped.
    mutating func next(_ mark: String, from start: Int) -> Int? {
        guard !missing.contains(mark) else { return nil }
        let wanted = Array(mark.unicodeScalars)
        var place = start
        while place + wanted.count <= text.endIndex {
            if text[place] == "\\" {
                place += 2
            } else if text[place...].starts(with: wanted) {
                return place
            } else {
                place += 1
            }
        }
        missing.insert(mark)
        return nil
    }
}
