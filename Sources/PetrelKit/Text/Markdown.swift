/// Helpers for CommonMark (https://spec.commonmark.org) in replies.
public enum Markdown {
    /// Returns a text with its Markdown marks escaped, so that text from people and services is shown literally.
    public static func escaped(_ text: some StringProtocol) -> String {
        var escaped = String.UnicodeScalarView()
        var isAtStart = true
        // Control sequences are removed first, because a backslash within one would split it.
        for scalar in ShownText.withoutControls(text) {
            if isMark(scalar) || isAtStart && isMarkAtStart(scalar) { escaped.append("\\") }
            escaped.append(scalar)
            isAtStart = scalar == "\n" || scalar == "\r" || isAtStart && scalar == " "
        }
        return String(escaped)
    }

    /// Returns a text as a code span, whatever characters it contains.
    public static func code(_ text: some StringProtocol) -> String {
        var line = String.UnicodeScalarView()
        for scalar in ShownText.withoutControls(text) { line.append(scalar == "\n" ? " " : scalar) }
        guard let first = line.first, let last = line.last else { return "" }
        let mark = String(repeating: "`", count: longestRun(in: line) + 1)
        // A space separates a backtick of the text from the delimiters.
        let pad = first == "`" || last == "`" || first == " " && last == " " ? " " : ""
        return mark + pad + String(line) + pad + mark
    }

    private static func longestRun(in text: String.UnicodeScalarView) -> Int {
        var (run, longest) = (0, 0)
        for scalar in text {
            run = scalar == "`" ? run + 1 : 0
            longest = max(longest, run)
        }
        return longest
    }

    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "\\", "`", "*", "_", "~", "[", "]", "<", "&": true
        default: false
        }
    }

    private static func isMarkAtStart(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "#", "+", "-", ">", "=": true
        default: false
        }
    }

    /// Returns true for ASCII punctuation, which a backslash can escape.
    static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: true
        default: false
        }
    }

    /// Returns a text without the backslashes of escapes, for services that do not render Markdown.
    public static func readable(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "\\")) else { return text }
        return TextBlock.blocks(of: text).map { block in
            switch block {
            case .lines(let lines): lines.map { unescaped($0) }.joined(separator: "\n")
            case .code(let language, let lines):
                ([TextBlock.mark + (language ?? "")] + lines.map(String.init) + [TextBlock.mark]).joined(
                    separator: "\n")
            }
        }.joined(separator: "\n")
    }

    /// Returns the text of a link label without the backslashes of escapes.
    static func plain(_ text: ArraySlice<Unicode.Scalar>) -> String {
        var shown = String.UnicodeScalarView()
        var isEscaped = false
        for (place, scalar) in zip(text.indices, text) {
            let next = place + 1 < text.endIndex ? text[place + 1] : " "
            if scalar == "\\", !isEscaped, isPunctuation(next) {
                isEscaped = true
                continue
            }
            shown.append(scalar)
            isEscaped = false
        }
        return String(shown)
    }

    private static func unescaped(_ line: Substring) -> String {
        let text = Array(line.unicodeScalars)
        var shown = String.UnicodeScalarView()
        var place = 0
        while place < text.count {
            if let span = CodeSpan(text[place...]) {
                shown.append(contentsOf: text[place..<span.end])
                place = span.end
            } else if text[place] == "`" {
                // A run of backticks that does not begin a code span is literal as a whole.
                let run = text[place...].prefix { $0 == "`" }
                shown.append(contentsOf: run)
                place = run.endIndex
            } else if text[place] == "\\", place + 1 < text.count, isPunctuation(text[place + 1]) {
                shown.append(text[place + 1])
                place += 2
            } else {
                shown.append(text[place])
                place += 1
            }
        }
        return String(shown)
    }
}

/// A code span: a text between two runs of backticks of the same length.
struct CodeSpan {
    var content: ArraySlice<Unicode.Scalar>
    /// The index after the closing backticks.
    var end: Int

    /// Parses a code span at the beginning of a text. Returns nil if none exists.
    init?(_ text: ArraySlice<Unicode.Scalar>) {
        let count = text.prefix { $0 == "`" }.count
        guard count > 0 else { return nil }
        let start = text.startIndex + count
        var place = start
        while place < text.endIndex {
            guard text[place] == "`" else {
                place += 1
                continue
            }
            let run = text[place...].prefix { $0 == "`" }.count
            if run == count {
                content = Self.withoutPadding(text[start..<place])
                end = place + run
                return
            }
            place += run
        }
        return nil
    }

    private static func withoutPadding(_ content: ArraySlice<Unicode.Scalar>) -> ArraySlice<Unicode.Scalar> {
        guard content.first == " ", content.last == " ", content.contains(where: { $0 != " " }) else { return content }
        return content.dropFirst().dropLast()
    }
}
