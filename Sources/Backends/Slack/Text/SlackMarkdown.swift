/// CommonMark, as far as replies use it, in Slack's own notation
/// (https://docs.slack.dev/messaging/formatting-message-text, "mrkdwn").
enum SlackMarkdown {
    static func mrkdwn(_ markdown: String) -> String {
        var isFenced = false
        let lines = markdown.split(separator: "\n", omittingEmptySubsequences: false).map { line -> String in
            let isFence = line.drop { $0 == " " }.hasPrefix("```")
            if isFence { isFenced.toggle() }
            if isFence, isFenced {
                // Slack knows no languages, and would show their name.
                return "```"
            }
            return isFenced || isFence ? SlackEscapes.encode(line) : block(line)
        }
        return lines.joined(separator: "\n")
    }

    /// A line that may be a heading or an item of a list.
    private static func block(_ line: Substring) -> String {
        let indent = line.prefix { $0 == " " }
        let rest = line.dropFirst(indent.count)
        let level = rest.prefix { $0 == "#" }.count
        if (1...6).contains(level), rest.dropFirst(level).first == " " {
            return "*" + inline(rest.dropFirst(level + 1)).replacing("*", with: "") + "*"
        }
        if ["- ", "* ", "+ "].contains(where: { rest.hasPrefix($0) }) {
            return indent + "• " + inline(rest.dropFirst(2))
        }
        return indent + inline(rest)
    }

    private static func inline(_ text: Substring) -> String {
        var result = ""
        var rest = text
        var isInWord = false
        while let character = rest.first {
            if let (part, length) = span(rest, isInWord) {
                result += part
                rest = rest.dropFirst(length)
                isInWord = false
            } else {
                result += SlackEscapes.encode(String(character))
                rest = rest.dropFirst()
                isInWord = character.isLetter || character.isNumber
            }
        }
        return result
    }

    /// What begins here with a mark, in Slack's notation, and how many characters of the text it takes up.
    /// - Parameter isInWord: a letter or number stands right before it.
    private static func span(_ text: Substring, _ isInWord: Bool) -> (String, Int)? {
        switch text.first {
        case "\\":
            guard let next = text.dropFirst().first, next.isPunctuation || next.isSymbol else { return nil }
            return (SlackEscapes.encode(String(next)), 2)
        case "`":
            let mark = String(text.prefix { $0 == "`" })
            guard let (inner, length) = enclosed(text, by: mark) else { return nil }
            // Slack's code ends at its first backtick.
            return ("`\(SlackEscapes.encode(inner).replacing("`", with: "ˋ"))`", length)
        case "_" where isInWord: return nil
        case "*", "_":
            for (mark, slack) in [("**", "*"), ("__", "*"), ("*", "_"), ("_", "_")] {
                guard let (inner, length) = enclosed(text, by: mark), inner.first != " ", inner.last != " " else {
                    continue
                }
                return (slack + inline(inner) + slack, length)
            }
            return nil
        case "~":
            guard let (inner, length) = enclosed(text, by: "~~") else { return nil }
            return ("~\(inline(inner))~", length)
        case "[": return link(text)
        default: return nil
        }
    }

    private static func enclosed(_ text: Substring, by mark: String) -> (inner: Substring, length: Int)? {
        guard text.hasPrefix(mark) else { return nil }
        let rest = text.dropFirst(mark.count)
        guard let end = rest.firstRange(of: mark), end.lowerBound > rest.startIndex else { return nil }
        let inner = rest[..<end.lowerBound]
        return (inner, inner.count + 2 * mark.count)
    }

    /// `[label](address)`
    private static func link(_ text: Substring) -> (String, Int)? {
        guard let middle = text.firstRange(of: "]("), let end = text[middle.upperBound...].firstIndex(of: ")") else {
            return nil
        }
        let label = text[text.index(after: text.startIndex)..<middle.lowerBound]
        let address = text[middle.upperBound..<end]
        guard address.hasPrefix("http"), !label.contains("[") else { return nil }
        let shown = SlackEscapes.encode(label).replacing("|", with: "¦")
        return ("<\(SlackEscapes.encode(address))|\(shown)>", text.distance(from: text.startIndex, to: end) + 1)
    }
}
