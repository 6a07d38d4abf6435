import PetrelKit
import PetrelSupport

extension SlackRichText {
    /// Returns the rich text block of a Markdown text if it contains marks that are text, such as escaped ones; nil if
    /// Slack's markup shows the same.
    static func block(markdown text: String) -> JSONValue? {
        let blocks = MarkdownBlock.blocks(of: text)
        guard blocks.contains(where: { holdsMark($0) }) else { return nil }
        var elements: [JSONValue] = []
        var section: [JSONValue] = []
        func endSection() {
            if !section.isEmpty { elements.append(["type": "rich_text_section", "elements": .array(section)]) }
            section = []
        }
        for (number, block) in blocks.enumerated() {
            switch block {
            case .line(let spans):
                var parts = spans.flatMap { self.parts(of: $0, []) }
                if case .line? = blocks.dropFirst(number + 1).first { parts.append(["type": "text", "text": "\n"]) }
                section += parts
            case .code(_, let lines):
                endSection()
                elements.append(preformatted(lines.joined(separator: "\n")))
            }
        }
        endSection()
        return ["type": "rich_text", "elements": .array(elements)]
    }

    /// Returns true if Slack's markup could take a part of the text for a mark.
    private static func holdsMark(_ block: MarkdownBlock) -> Bool {
        guard case .line(let spans) = block else { return false }
        if case .text(let text)? = spans.first, text.unicodeScalars.first == ">" { return true }
        return spans.contains { holdsMark($0) }
    }

    private static func holdsMark(_ span: MarkdownSpan) -> Bool {
        switch span {
        case .text(let text), .link(let text, _): holdsMark(text)
        case .styled(_, let spans): spans.contains { holdsMark($0) }
        case .code, .address: false
        }
    }

    /// Returns true if a text has a mark that is neither within a word nor alone.
    private static func holdsMark(_ text: String) -> Bool {
        let scalars = Array(text.unicodeScalars)
        func isWord(_ index: Int) -> Bool { scalars.indices.contains(index) && WebLink.isWord(scalars[index]) }
        func isBlank(_ index: Int) -> Bool { scalars.indices.contains(index) && scalars[index] == " " }
        return scalars.indices.contains { index in
            guard "*_~`".unicodeScalars.contains(scalars[index]) else { return false }
            let isInWord = isWord(index - 1) && isWord(index + 1)
            return !isInWord && !(isBlank(index - 1) && isBlank(index + 1))
        }
    }

    /// Returns the elements of a part of a line. Slack rejects an empty text.
    private static func parts(of span: MarkdownSpan, _ styles: [String]) -> [JSONValue] {
        var element: [String: JSONValue]
        switch span {
        case .text(let text), .code(let text):
            guard !text.isEmpty else { return [] }
            element = ["type": "text", "text": .string(text)]
        case .address(let address): element = ["type": "link", "url": .string(address)]
        case .link(let label, let address):
            element = ["type": "link", "url": .string(address), "text": .string(label)]
        case .styled(let style, let spans): return spans.flatMap { parts(of: $0, styles + [name(of: style)]) }
        }
        var all = styles
        if case .code = span { all.append("code") }
        if !all.isEmpty { element["style"] = .object(Dictionary(all.map { ($0, true) }) { first, _ in first }) }
        return [.object(element)]
    }

    private static func name(of style: MarkdownSpan.Style) -> String {
        switch style {
        case .bold: "bold"
        case .italic: "italic"
        case .struck: "strike"
        }
    }
}
