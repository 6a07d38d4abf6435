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
        MarkdownBlock.blocks(of: markdown).map { block in
            switch block {
            case .line(let spans): text(of: spans)
            case .code(let language, let lines): code(language, lines)
            }
        }.joined(separator: "\n")
    }

    private func code(_ language: String?, _ lines: [String]) -> String {
        let opening = TextBlock.mark + (keepsLanguages ? language ?? "" : "")
        return ([opening] + lines.map { escape(Self.withoutMarks($0)) } + [TextBlock.mark]).joined(separator: "\n")
    }

    /// Replaces the backticks of a line that would end the block.
    private static func withoutMarks(_ line: String) -> String {
        line.unicodeScalars.contains(TextBlock.mark.unicodeScalars) ? withoutBackticks(line) : line
    }

    private static func withoutBackticks(_ text: String) -> String {
        String(text.unicodeScalars.replacing("`".unicodeScalars, with: "ˋ".unicodeScalars))
    }

    private func text(of spans: [MarkdownSpan]) -> String { spans.map { text(of: $0) }.joined() }

    private func text(of span: MarkdownSpan) -> String {
        switch span {
        case .text(let text), .address(let text): return escape(text)
        // Chat services end a code span at the first backtick.
        case .code(let content): return "`\(escape(Self.withoutBackticks(content)))`"
        case .link(let label, let address): return link(label, address)
        case .styled(let style, let spans):
            let mark = mark(of: style)
            return mark + text(of: spans) + mark
        }
    }

    private func mark(of style: MarkdownSpan.Style) -> String {
        switch style {
        case .bold: bold
        case .italic: italic
        case .struck: struck
        }
    }
}
