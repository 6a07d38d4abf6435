/// CommonMark (https://spec.commonmark.org), as replies use it.
public enum Markdown {
    /// A text that is shown as it stands within Markdown: for what people and services said, inside our own words.
    public static func escaped(_ text: some StringProtocol) -> String {
        var escaped = String.UnicodeScalarView()
        var isAtStart = true
        // First what is not shown: a backslash would part it from what goes with it, and a mark may stand behind it.
        for scalar in ShownText.withoutControls(text) {
            if isMark(scalar) || isAtStart && isMarkAtStart(scalar) { escaped.append("\\") }
            escaped.append(scalar)
            isAtStart = scalar == "\n" || scalar == "\r" || isAtStart && scalar == " "
        }
        return String(escaped)
    }

    /// A text as code within a line, whatever it holds.
    public static func code(_ text: some StringProtocol) -> String {
        var line = String.UnicodeScalarView()
        for scalar in ShownText.withoutControls(text) { line.append(scalar == "\n" ? " " : scalar) }
        guard let first = line.first, let last = line.last else { return "" }
        let mark = String(repeating: "`", count: longestRun(in: line) + 1)
        // A blank parts a backtick of the text from those around it.
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

    /// What a backslash takes its meaning from.
    static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: true
        default: false
        }
    }

    /// A text for where Markdown is not shown: without the backslashes, else as it was written.
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

    /// The text of a label: marks stand, backslashes do not.
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
                // Backticks that begin no code stand together.
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

/// Code within a line: between two runs of backticks of the same length.
struct CodeSpan {
    var content: ArraySlice<Unicode.Scalar>
    /// The place after it.
    var end: Int

    /// Nil where none begins at the beginning of the text.
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
