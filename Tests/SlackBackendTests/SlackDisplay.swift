import PetrelSupport

/// The text that a client of Slack displays for a message
/// (https://docs.slack.dev/messaging/formatting-message-text). It is independent of the backend, which writes the text.
enum SlackDisplay {
    /// Returns the text with the entities that clients and apps send.
    static func escaped(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { escaped, scalar in
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
    }

    /// Returns the displayed text of a message: of its blocks, if it has any.
    static func text(of message: JSONValue) -> String {
        if let blocks = message["blocks"]?.array, !blocks.isEmpty {
            return blocks.compactMap { block($0) }.joined(separator: "\n")
        }
        let text = message["text"]?.string ?? ""
        // Form-encoded arguments are texts.
        let isMarkup = message["mrkdwn"]?.bool ?? (message["mrkdwn"]?.string != "false")
        return isMarkup ? markup(text) : references(text)
    }

    private static func block(_ block: JSONValue) -> String? {
        switch block["type"]?.string {
        case "section": markup(block["text"]?["text"]?.string ?? "")
        case "rich_text": (block["elements"]?.array ?? []).map { richText($0) }.joined(separator: "\n")
        default: nil
        }
    }

    private static func richText(_ element: JSONValue) -> String {
        let text = (element["elements"]?.array ?? []).map { part in
            let text = part["text"]?.string
            guard let url = part["url"]?.string else { return text ?? "" }
            return text.map { "\($0) (\(url))" } ?? url
        }.joined()
        return element["type"] == "rich_text_preformatted" ? "```\n\(text)\n```" : text
    }

    /// Returns a text in Slack's markup without the marks that a client hides. Blocks of code keep their fences, so that
    /// they can be recognised.
    static func markup(_ text: String) -> String {
        parts(text, by: "```").enumerated().map { number, part in
            number % 2 == 1 ? "```" + references(part) + "```" : prose(part)
        }.joined()
    }

    private static func prose(_ text: String) -> String {
        text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            parts(String(line), by: "`").enumerated().map { number, part in
                number % 2 == 1 ? references(part) : references(["*", "_", "~"].reduce(part) { unmarked($0, $1) })
            }.joined()
        }.joined(separator: "\n")
    }

    /// Splits a text by a mark. The last mark is text if the marks are not in pairs.
    private static func parts(_ text: String, by mark: String) -> [String] {
        var parts: [String.UnicodeScalarView] = [String.UnicodeScalarView()]
        var rest = text.unicodeScalars[...]
        while !rest.isEmpty {
            if rest.starts(with: mark.unicodeScalars) {
                rest = rest.dropFirst(mark.unicodeScalars.count)
                parts.append(String.UnicodeScalarView())
            } else {
                parts[parts.count - 1].append(rest.removeFirst())
            }
        }
        if parts.count % 2 == 0, let last = parts.popLast() {
            parts[parts.count - 1].append(contentsOf: (mark + String(last)).unicodeScalars)
        }
        return parts.map { String($0) }
    }

    /// Removes pairs of a mark that make the text between them bold, italic or struck.
    private static func unmarked(_ text: String, _ mark: Unicode.Scalar) -> String {
        let scalars = Array(text.unicodeScalars)
        var shown = String.UnicodeScalarView()
        var place = 0
        while place < scalars.count {
            if let end = end(of: place, scalars, mark) {
                shown.append(contentsOf: scalars[(place + 1)..<end])
                place = end + 1
            } else {
                shown.append(scalars[place])
                place += 1
            }
        }
        return String(shown)
    }

    /// Returns the closing mark for the one at this index; nil if none exists. Marks are next to their text, and not
    /// within a word.
    private static func end(of start: Int, _ text: [Unicode.Scalar], _ mark: Unicode.Scalar) -> Int? {
        func isWord(_ index: Int) -> Bool {
            text.indices.contains(index)
                && (text[index].properties.isAlphabetic || text[index].properties.numericType != nil)
        }
        func isBlank(_ index: Int) -> Bool {
            !text.indices.contains(index) || text[index].properties.isWhitespace || text[index] == "\u{200B}"
        }
        guard text[start] == mark, !isWord(start - 1), !isBlank(start + 1), start + 2 < text.count else { return nil }
        return ((start + 2)..<text.count).first { text[$0] == mark && !isBlank($0 - 1) && !isWord($0 + 1) }
    }

    /// Returns a text with its links, mentions and entities as a client displays them.
    private static func references(_ text: String) -> String {
        var shown = ""
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            guard scalar == "<", let end = rest.firstIndex(of: ">") else {
                shown.unicodeScalars.append(scalar)
                continue
            }
            shown += reference(String(rest[..<end]))
            rest = rest[rest.index(after: end)...]
        }
        return String(
            [("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")].reduce(shown.unicodeScalars) { text, entity in
                text.replacing(entity.0.unicodeScalars, with: entity.1.unicodeScalars)
            })
    }

    /// Returns the label of a link with its address, which a client displays when the link is pointed at.
    private static func reference(_ inner: String) -> String {
        let parts = inner.unicodeScalars.split(separator: "|", maxSplits: 1).map { String($0) }
        let target = parts.first ?? ""
        switch target.unicodeScalars.first {
        case "!", "@", "#": return "[mention \(parts.last ?? "")]"
        default: return parts.count > 1 && parts[1] != target ? "\(parts[1]) (\(target))" : target
        }
    }
}
