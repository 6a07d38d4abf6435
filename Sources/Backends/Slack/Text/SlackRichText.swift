import PetrelKit
import PetrelSupport

/// Converts plain text to rich text blocks: characters are literal, URLs become links, and code fences become blocks
/// (https://docs.slack.dev/reference/block-kit/blocks/rich-text-block).
enum SlackRichText {
    /// Returns the rich text block of a text.
    static func block(_ text: String) -> JSONValue {
        let elements = TextBlock.blocks(of: text).compactMap { element($0) }
        return ["type": "rich_text", "elements": .array(elements)]
    }

    /// Returns nil for empty text, for which Slack rejects an element.
    private static func element(_ block: TextBlock) -> JSONValue? {
        switch block {
        case .lines(let lines):
            let parts = parts(of: lines.joined(separator: "\n"))
            return parts.isEmpty ? nil : ["type": "rich_text_section", "elements": .array(parts)]
        case .code(_, let lines):
            return preformatted(lines.joined(separator: "\n"))
        }
    }

    /// Returns the element of a block of code.
    static func preformatted(_ code: String) -> JSONValue {
        let text = code.isEmpty ? " " : code
        return ["type": "rich_text_preformatted", "elements": [["type": "text", "text": .string(text)]]]
    }

    private static func parts(of text: String) -> [JSONValue] {
        var parts: [JSONValue] = []
        var start = text.startIndex
        func add(_ text: Substring) {
            if !text.isEmpty { parts.append(["type": "text", "text": .string(String(text))]) }
        }
        for address in WebLink.ranges(in: text[...]) {
            add(text[start..<address.lowerBound])
            parts.append(["type": "link", "url": .string(String(text[address]))])
            start = address.upperBound
        }
        add(text[start...])
        return parts
    }
}
