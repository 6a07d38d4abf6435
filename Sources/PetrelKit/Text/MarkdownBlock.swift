/// A part of a line in the CommonMark subset that replies use.
package enum MarkdownSpan: Sendable, Equatable {
    /// The style of a part.
    package enum Style: Sendable {
        case bold, italic, struck
    }

    /// A literal text.
    case text(String)
    /// A code span.
    case code(String)
    /// A web address in the text.
    case address(String)
    /// A link, whose label does not look like another address.
    case link(label: String, address: String)
    /// Parts in a style. There is no bold part within another one.
    case styled(Style, [MarkdownSpan])
}

/// A line of a Markdown text, or a fenced block.
package enum MarkdownBlock: Sendable, Equatable {
    case line([MarkdownSpan])
    case code(language: String?, [String])

    /// Parses a text.
    package static func blocks(of markdown: String) -> [MarkdownBlock] {
        TextBlock.blocks(of: markdown).flatMap { block -> [MarkdownBlock] in
            switch block {
            case .lines(let lines): lines.map { .line(MarkdownLine.spans(of: $0)) }
            case .code(let language, let lines): [.code(language: language.map(String.init), lines.map(String.init))]
            }
        }
    }
}

/// A parser for one line.
private enum MarkdownLine {
    /// Parses a line, which may be a heading or a list item.
    static func spans(of line: Substring) -> [MarkdownSpan] {
        let text = Array(line.unicodeScalars)
        let indent = text.prefix { $0 == " " }.count
        let rest = text[indent...]
        let level = rest.prefix { $0 == "#" }.count
        if (1...6).contains(level), rest.dropFirst(level).first == " " {
            return [.styled(.bold, inline(rest.dropFirst(level + 1), isBold: true))]
        }
        let blanks = String(repeating: " ", count: indent)
        if let mark = rest.first, mark == "-" || mark == "*" || mark == "+", rest.dropFirst().first == " " {
            return [.text(blanks + "• ")] + inline(rest.dropFirst(2))
        }
        return (blanks.isEmpty ? [] : [.text(blanks)]) + inline(rest)
    }

    /// Parses the text of a line.
    /// - Parameter isBold: true within bold text, where no further bold text can begin.
    private static func inline(_ text: ArraySlice<Unicode.Scalar>, isBold: Bool = false) -> [MarkdownSpan] {
        var spans: [MarkdownSpan] = []
        var literal = String.UnicodeScalarView()
        func endLiteral() {
            if !literal.isEmpty { spans.append(.text(String(literal))) }
            literal = String.UnicodeScalarView()
        }
        var search = MarkSearch(text)
        var place = text.startIndex
        var isInWord = false
        while place < text.endIndex {
            if text[place] == "\\", place + 1 < text.endIndex, Markdown.isPunctuation(text[place + 1]) {
                literal.append(text[place + 1])
                place += 2
                isInWord = false
            } else if let (parts, end) = span(at: place, &search, isInWord, isBold) {
                endLiteral()
                spans += parts
                place = end
                isInWord = false
            } else {
                // A run of backticks that does not begin a code span is literal as a whole.
                let end = text[place] == "`" ? place + text[place...].prefix { $0 == "`" }.count : place + 1
                literal.append(contentsOf: text[place..<end])
                isInWord = WebLink.isWord(text[place])
                place = end
            }
        }
        endLiteral()
        return spans
    }

    /// Parses the span that begins at this index, and returns it with the index after it; nil if none begins here.
    /// - Parameter isInWord: true if a letter or a digit precedes it.
    private static func span(
        at place: Int, _ search: inout MarkSearch, _ isInWord: Bool, _ isBold: Bool
    ) -> ([MarkdownSpan], end: Int)? {
        let text = search.text
        switch text[place] {
        case "`":
            guard let span = CodeSpan(text[place...]) else { return nil }
            return ([.code(string(span.content))], span.end)
        case "_" where isInWord: return nil
        case "*", "_": return emphasis(at: place, &search, isBold)
        case "~": return enclosed(at: place, by: "~~", as: .struck, &search, isBold)
        case "[": return reference(at: place, &search)
        case "h" where !isInWord, "H" where !isInWord: return address(at: place, text)
        default: return nil
        }
    }

    private static func emphasis(
        at place: Int, _ search: inout MarkSearch, _ isBold: Bool
    ) -> ([MarkdownSpan], end: Int)? {
        let marks: [(String, MarkdownSpan.Style)] = [("**", .bold), ("__", .bold), ("*", .italic), ("_", .italic)]
        for (mark, style) in marks {
            if let found = enclosed(at: place, by: mark, as: style, &search, isBold) { return found }
        }
        return nil
    }

    private static func enclosed(
        at place: Int, by mark: String, as style: MarkdownSpan.Style, _ search: inout MarkSearch, _ isBold: Bool
    ) -> ([MarkdownSpan], end: Int)? {
        let (text, length) = (search.text, mark.utf8.count)
        guard text[place...].starts(with: mark.unicodeScalars), let end = search.next(mark, from: place + length) else {
            return nil
        }
        let inner = text[(place + length)..<end]
        guard !inner.isEmpty, inner.first != " ", inner.last != " " else { return nil }
        let next = end + length
        // `_a_b` is an identifier, not emphasis.
        if mark.utf8.first == UInt8(ascii: "_"), next < text.endIndex, WebLink.isWord(text[next]) { return nil }
        let parts = inline(inner, isBold: isBold || style == .bold)
        return (isBold && style == .bold ? parts : [.styled(style, parts)], next)
    }

    /// Parses `[label](address)`, with or without a title after the address.
    private static func reference(at place: Int, _ search: inout MarkSearch) -> ([MarkdownSpan], end: Int)? {
        let text = search.text
        guard let middle = labelEnd(from: place + 1, text) else { return nil }
        let label = text[(place + 1)..<middle]
        guard !label.isEmpty, let (address, end) = destination(text[(middle + 2)...]) else { return nil }
        return (link(Markdown.plain(label), address), end)
    }

    /// Returns the index of the `](` that ends a label; nil if there is a `[` before it. A text of many `[` takes linear
    /// time, because the search for one ends at the next.
    private static func labelEnd(from start: Int, _ text: ArraySlice<Unicode.Scalar>) -> Int? {
        var place = start
        while place + 1 < text.endIndex {
            switch text[place] {
            case "[": return nil
            case "\\":
                if text[place + 1] == "[" { return nil }
                place += 2
            case "]" where text[place + 1] == "(": return place
            default: place += 1
            }
        }
        return nil
    }

    /// Returns a link, or the label and the address if the label looks like another address.
    private static func link(_ label: String, _ address: String) -> [MarkdownSpan] {
        WebLink.misleads(label, about: address)
            ? [.text("\(label) ("), .link(label: address, address: address), .text(")")]
            : [.link(label: label, address: address)]
    }

    /// The maximum length of the address of a link, with its title. It bounds the search in a text of many `[x](`.
    private static let longestDestination = 4_096

    /// Returns the address before the closing bracket, and the index after that. Brackets inside must be balanced.
    private static func destination(_ text: ArraySlice<Unicode.Scalar>) -> (String, end: Int)? {
        guard WebLink.schemeEnd(from: text.startIndex, in: text) != nil else { return nil }
        let text = text.prefix(longestDestination)
        var depth = 0
        var end: Int?
        var place = text.startIndex
        while place < text.endIndex {
            switch text[place] {
            case " ": if end == nil { end = place }
            case "(" where end == nil: depth += 1
            case ")" where depth > 0 && end == nil: depth -= 1
            case ")": return (string(text[..<(end ?? place)]), place + 1)
            default: break
            }
            place += 1
        }
        return nil
    }

    /// Returns a bare address, in which marks have no meaning, and the index after it.
    private static func address(at place: Int, _ text: ArraySlice<Unicode.Scalar>) -> ([MarkdownSpan], end: Int)? {
        WebLink.end(of: place, in: text).map { ([.address(string(text[place..<$0]))], $0) }
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
