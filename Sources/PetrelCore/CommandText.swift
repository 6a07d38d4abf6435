package import PetrelKit

/// A message normalised once, into the two forms that everything else uses.
package struct CommandText: Hashable, Sendable {
    /// What runs: outer white space off, smart quotes and no-break spaces made plain, the inside kept.
    package let text: String
    /// What access rules see: `text` with every run of white space as one space.
    package var line: String { Self.line(of: text) }

    package init(_ raw: some StringProtocol) {
        text = Self.plain(raw)
    }

    static func plain(_ raw: some StringProtocol) -> String {
        let scalars = raw.unicodeScalars.map { $0.typed }
        let isText = { (scalar: Unicode.Scalar) in !scalar.properties.isWhitespace }
        guard let first = scalars.firstIndex(where: isText), let last = scalars.lastIndex(where: isText) else {
            return ""
        }
        var text = String.UnicodeScalarView()
        text.append(contentsOf: scalars[first...last])
        return String(text)
    }

    /// Scalar by scalar.
    package static func line(of text: some StringProtocol) -> String {
        if isLine(text.utf8) { return String(text) }
        var line = String.UnicodeScalarView()
        for word in text.unicodeScalars.split(whereSeparator: { $0.isSeparator }) {
            if !line.isEmpty { line.append(" ") }
            line.append(contentsOf: word)
        }
        return String(line)
    }

    /// Plain ASCII with single spaces inside, as most lines are: nothing to do.
    private static func isLine(_ bytes: some Collection<UInt8>) -> Bool {
        var isAfterSpace = true
        for byte in bytes {
            if byte == 0x20 {
                if isAfterSpace { return false }
                isAfterSpace = true
            } else {
                guard (0x21...0x7E).contains(byte) else { return false }
                isAfterSpace = false
            }
        }
        return !isAfterSpace || bytes.isEmpty
    }
}

/// How people call the bot.
package struct Prefixes: Sendable, Hashable {
    package var prefix: String
    /// Other ways to call it, longest first: `petrel`, `hey bot`. Case does not count; `:`, `,` or `;` may follow.
    package var alternates: [String]
    package var isOptionalInDirectChats: Bool

    package init(prefix: String = "!", alternates: [String] = [], isOptionalInDirectChats: Bool = false) {
        self.prefix = prefix
        self.alternates = alternates.filter { !$0.isEmpty }.sorted { $0.count > $1.count }
        self.isOptionalInDirectChats = isOptionalInDirectChats
    }

    /// The text after the prefix, or nil when the message is not for the bot.
    package func strip(_ text: String, from message: ChatMessage) -> String? {
        if !prefix.isEmpty, text.hasPrefix(prefix) { return CommandText.plain(text.dropFirst(prefix.count)) }
        for alternate in alternates {
            if let rest = Self.rest(of: text, after: alternate) { return CommandText.plain(rest) }
        }
        let needsNone = prefix.isEmpty || message.isAddressed || (message.isDirect && isOptionalInDirectChats)
        return needsNone ? text : nil
    }

    private static func rest(of text: String, after prefix: String) -> Substring? {
        let head = text.prefix(prefix.count)
        guard head.lowercased() == prefix.lowercased() else { return nil }
        var rest = text.dropFirst(prefix.count)
        if let next = rest.first, ":,;".contains(next) {
            rest = rest.dropFirst()
        } else if let next = rest.first, let last = prefix.last, last.isLetter || last.isNumber {
            guard next.isWhitespace else { return nil }
        }
        return rest
    }
}
