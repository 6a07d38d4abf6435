import PetrelSupport

/// A part of a text: lines, or the lines inside a fence.
public enum TextBlock: Equatable, Sendable {
    /// Lines outside of fences.
    case lines([Substring])
    /// A fenced block, with its language, such as `json`, if it names one.
    case code(language: Substring?, [Substring])

    /// The shortest mark that opens and closes a fence.
    public static let mark = "```"

    /// Returns the blocks of a text in their order.
    ///
    /// Three or more backticks at the beginning of a line open a fence; as many at the beginning or at the end of a
    /// line close it. Without a closing line it is not a fence. The text after the opening backticks is the first line
    /// of the block, unless it is the name of a language.
    public static func blocks(of text: String) -> [TextBlock] {
        let lines = text.textLines
        var blocks: [TextBlock] = []
        var plain: [Substring] = []
        // A fence with at least this number of backticks is not closed in the rest of the text.
        var unclosed = Int.max
        var next = 0
        while next < lines.count {
            if let fence = Fence(lines[next]), fence.count < unclosed {
                if let (block, end) = fence.block(of: lines, from: next) {
                    if !plain.isEmpty { blocks.append(.lines(plain)) }
                    plain = []
                    blocks.append(block)
                    next = end
                    continue
                }
                if fence.isOpening { unclosed = fence.count }
            }
            plain.append(lines[next])
            next += 1
        }
        if !plain.isEmpty { blocks.append(.lines(plain)) }
        return blocks
    }

    /// Returns a text in which the marks of fences are on lines of their own, as some services require.
    public static func withFencesApart(_ text: String, keepsLanguages: Bool = true) -> String {
        guard holdsMark(text) else { return text }
        return blocks(of: text).map { block in
            switch block {
            case .lines(let lines): lines.joined(separator: "\n")
            case .code(let language, let lines):
                ([mark + (keepsLanguages ? language ?? "" : "")] + lines.map(String.init) + [mark]).joined(
                    separator: "\n")
            }
        }.joined(separator: "\n")
    }

    /// Returns a mark that is longer than any run of backticks in the lines of a block.
    public static func mark(around lines: [Substring]) -> String {
        var (run, longest) = (0, 0)
        for line in lines {
            run = 0
            for byte in line.utf8 {
                run = byte == UInt8(ascii: "`") ? run + 1 : 0
                longest = max(longest, run)
            }
        }
        return longest < mark.utf8.count ? mark : String(repeating: "`", count: longest + 1)
    }

    /// Returns true if a text contains a fence.
    public static func holdsFence(_ text: String) -> Bool {
        holdsMark(text) && blocks(of: text).contains { if case .code = $0 { true } else { false } }
    }

    /// Returns true if a text begins with a fence, which must remain at the beginning of a line.
    public static func beginsWithFence(_ text: String) -> Bool {
        guard holdsMark(text), case .code? = blocks(of: text).first else { return false }
        return true
    }

    /// Returns true if a text ends with a fence, so that an addition needs a line of its own.
    public static func endsWithFence(_ text: String) -> Bool {
        guard holdsMark(text), case .code? = blocks(of: text).last else { return false }
        return true
    }

    /// Returns true if a text contains an opening line of a fence that is not closed, and would include following text.
    public static func hasOpenFence(_ text: String) -> Bool {
        guard holdsMark(text) else { return false }
        return blocks(of: text).contains { block in
            if case .lines(let lines) = block { lines.contains { Fence($0)?.isOpening == true } } else { false }
        }
    }

    private static func holdsMark(_ text: String) -> Bool {
        var run = 0
        for byte in text.utf8 {
            run = byte == UInt8(ascii: "`") ? run + 1 : 0
            if run == 3 { return true }
        }
        return false
    }
}

/// A line that begins with three or more backticks.
private struct Fence {
    private static let backtick = UInt8(ascii: "`")

    let count: Int
    /// The text after the backticks.
    let rest: Substring

    init?(_ line: Substring) {
        let start = line.utf8.drop { $0 == 0x20 }
        count = start.prefix { $0 == Self.backtick }.count
        guard count >= 3 else { return nil }
        rest = Substring(start.dropFirst(count))
    }

    /// False if the line is a complete block, or only contains backticks within its text.
    var isOpening: Bool { content(before: rest) == nil && !holdsMark(rest) }

    /// Returns the block that begins in this line, and the number of the line after it; nil if it is not closed.
    func block(of lines: [Substring], from number: Int) -> (TextBlock, end: Int)? {
        if let content = content(before: rest) {
            return holdsMark(content) || isBlank(content) ? nil : (.code(language: nil, [content]), number + 1)
        }
        guard !holdsMark(rest) else { return nil }
        let language = Languages.name(in: rest)
        var code: [Substring] = language != nil || isBlank(rest) ? [] : [rest]
        for index in (number + 1)..<lines.count {
            guard let content = content(before: lines[index]) else {
                code.append(lines[index])
                continue
            }
            if !isBlank(content) { code.append(content) }
            return (.code(language: language, code), index + 1)
        }
        return nil
    }

    /// Returns the text before the backticks that end a line; nil if there are too few.
    private func content(before line: Substring) -> Substring? {
        let bytes = line.utf8
        guard let last = bytes.lastIndex(where: { $0 != 0x20 && $0 != 0x09 }) else { return nil }
        let trimmed = bytes[...last]
        let run = trimmed.reversed().prefix { $0 == Self.backtick }.count
        return run >= count ? Substring(trimmed.dropLast(run)) : nil
    }

    private func holdsMark(_ text: Substring) -> Bool {
        var run = 0
        for byte in text.utf8 {
            run = byte == Self.backtick ? run + 1 : 0
            if run == count { return true }
        }
        return false
    }

    private func isBlank(_ text: Substring) -> Bool { text.utf8.allSatisfy { $0 == 0x20 || $0 == 0x09 } }
}

/// The names of languages that may follow the opening backticks of a fence.
private enum Languages {
    private static let names: Set<String> = [
        "bash", "c", "conf", "cpp", "csharp", "css", "csv", "diff", "dockerfile", "go", "groovy", "hcl", "html", "http",
        "ini", "java", "javascript", "js", "json", "kotlin", "log", "lua", "makefile", "markdown", "md", "nginx",
        "none",
        "patch", "perl", "php", "plain", "plaintext", "powershell", "properties", "puppet", "py", "python", "rb",
        "ruby",
        "rust", "scala", "sh", "shell", "sql", "swift", "terraform", "text", "toml", "ts", "txt", "typescript", "xml",
        "yaml", "yml", "zsh",
    ]

    static func name(in text: Substring) -> Substring? {
        let bytes = text.utf8
        guard let first = bytes.firstIndex(where: { $0 != 0x20 && $0 != 0x09 }),
            let last = bytes.lastIndex(where: { $0 != 0x20 && $0 != 0x09 })
        else { return nil }
        let word = text[first...last]
        return names.contains(word.lowercased()) ? word : nil
    }
}
