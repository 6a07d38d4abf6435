/// CommonMark, as far as replies use it, in the notation of a chat service.
package struct MarkdownNotation: Sendable {
    /// What stands around bold text, and so on.
    private let bold: String
    private let italic: String
    private let struck: String
    /// A fence may say what language it holds.
    private let keepsLanguages: Bool
    private let escape: @Sendable (_ text: String) -> String
    private let link: @Sendable (_ label: String, _ address: String) -> String

    /// - Parameters:
    ///   - escape: what stands for a text as it is.
    ///   - link: what stands for a label with an address behind it; both are plain.
    package init(
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

    package func rewrite(_ markdown: String) -> String {
        var isFenced = false
        let lines = markdown.split(separator: "\n", omittingEmptySubsequences: false).map { line -> String in
            let isFence = line.drop { $0 == " " }.hasPrefix("```")
            if isFence { isFenced.toggle() }
            if isFence, isFenced, !keepsLanguages { return "```" }
            return isFenced || isFence ? escape(String(line)) : block(line)
        }
        return lines.joined(separator: "\n")
    }

    /// A line that may be a heading or an item of a list.
    private func block(_ line: Substring) -> String {
        let indent = line.prefix { $0 == " " }
        let rest = line.dropFirst(indent.count)
        let level = rest.prefix { $0 == "#" }.count
        if (1...6).contains(level), rest.dropFirst(level).first == " " {
            return bold + inline(rest.dropFirst(level + 1)).replacing(bold, with: "") + bold
        }
        if ["- ", "* ", "+ "].contains(where: { rest.hasPrefix($0) }) {
            return indent + "• " + inline(rest.dropFirst(2))
        }
        return indent + inline(rest)
    }

    private func inline(_ text: Substring) -> String {
        var result = ""
        var rest = text
        var isInWord = false
        while let character = rest.first {
            if let (part, length) = span(rest, isInWord) {
                result += part
                rest = rest.dropFirst(length)
                isInWord = false
            } else {
                result += escape(String(character))
                rest = rest.dropFirst()
                isInWord = character.isLetter || character.isNumber
            }
        }
        return result
    }

    /// What begins here with a mark, in the other notation, and how many characters of the text it takes up.
    /// - Parameter isInWord: a letter or number stands right before it.
    private func span(_ text: Substring, _ isInWord: Bool) -> (String, Int)? {
        switch text.first {
        case "\\":
            guard let next = text.dropFirst().first, next.isPunctuation || next.isSymbol else { return nil }
            return (escape(String(next)), 2)
        case "`":
            let mark = String(text.prefix { $0 == "`" })
            guard let (inner, length) = enclosed(text, by: mark) else { return nil }
            // Code ends at its first backtick there.
            return ("`\(escape(String(inner)).replacing("`", with: "ˋ"))`", length)
        case "_" where isInWord: return nil
        case "*", "_":
            for (mark, notation) in [("**", bold), ("__", bold), ("*", italic), ("_", italic)] {
                guard let (inner, length) = enclosed(text, by: mark), inner.first != " ", inner.last != " " else {
                    continue
                }
                return (notation + inline(inner) + notation, length)
            }
            return nil
        case "~":
            guard let (inner, length) = enclosed(text, by: "~~") else { return nil }
            return (struck + inline(inner) + struck, length)
        case "[": return reference(text)
        default: return nil
        }
    }

    private func enclosed(_ text: Substring, by mark: String) -> (inner: Substring, length: Int)? {
        guard text.hasPrefix(mark) else { return nil }
        let rest = text.dropFirst(mark.count)
        guard let end = rest.firstRange(of: mark), end.lowerBound > rest.startIndex else { return nil }
        let inner = rest[..<end.lowerBound]
        return (inner, inner.count + 2 * mark.count)
    }

    /// `[label](address)`
    private func reference(_ text: Substring) -> (String, Int)? {
        guard let middle = text.firstRange(of: "]("), let end = text[middle.upperBound...].firstIndex(of: ")") else {
            return nil
        }
        let label = text[text.index(after: text.startIndex)..<middle.lowerBound]
        let address = text[middle.upperBound..<end]
        guard address.hasPrefix("http"), !label.contains("[") else { return nil }
        return (link(String(label), String(address)), text.distance(from: text.startIndex, to: end) + 1)
    }
}
