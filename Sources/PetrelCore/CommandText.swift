package import PetrelKit
import PetrelSupport

/// The text of a message in its two normalised forms.
package struct CommandText: Hashable, Sendable {
    /// The text that runs: without white space and invisible characters at its ends, and with typographic quotes and
    /// no-break spaces replaced by plain ones.
    package let text: String
    /// The line that access rules see: the text with each run of white space replaced by one space.
    package var line: String { Self.line(of: text) }

    /// Normalises a text.
    package init(_ raw: some StringProtocol) {
        text = Self.plain(raw)
    }

    static func plain(_ raw: some StringProtocol) -> String {
        let scalars = raw.unicodeScalars.map { $0.typed }
        // Invisible characters were not typed on purpose.
        let isText = { (scalar: Unicode.Scalar) in !scalar.properties.isWhitespace && !scalar.isInvisible }
        guard let first = scalars.firstIndex(where: isText), let last = scalars.lastIndex(where: isText) else {
            return ""
        }
        var text = String.UnicodeScalarView()
        text.append(contentsOf: scalars[first...last])
        return String(text)
    }

    /// Returns a text with each run of white space replaced by one space, scalar by scalar.
    package static func line(of text: some StringProtocol) -> String {
        if isLine(text.utf8) { return String(text) }
        var line = String.UnicodeScalarView()
        for word in text.unicodeScalars.split(whereSeparator: { $0.isSeparator }) {
            if !line.isEmpty { line.append(" ") }
            line.append(contentsOf: word)
        }
        return String(line)
    }

    /// Returns true for ASCII text with single spaces, such as most lines, which needs no change.
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

/// The prefixes by which messages address the bot.
package struct Prefixes: Sendable, Hashable {
    /// The prefix of commands; may be empty.
    package var prefix: String
    /// Alternative prefixes, the longest first, such as `petrel` and `hey bot`. They are compared without case, and may
    /// be followed by `:`, `,` or `;`.
    package var alternates: [String]
    /// True if messages in direct chats need no prefix.
    package var isOptionalInDirectChats: Bool

    /// Creates prefixes.
    package init(prefix: String = "!", alternates: [String] = [], isOptionalInDirectChats: Bool = false) {
        self.prefix = prefix
        self.alternates = alternates.filter { !$0.isEmpty }.sorted { $0.count > $1.count }
        self.isOptionalInDirectChats = isOptionalInDirectChats
    }

    /// Returns the text after the prefix; nil if the message is not for the bot.
    package func strip(_ text: String, from message: ChatMessage) -> String? {
        if let rest = rest(afterPrefixOf: text) { return rest }
        for alternate in alternates {
            // `petrel: !status` has two prefixes.
            if let rest = Self.rest(of: text, after: alternate) { return self.rest(afterPrefixOf: rest) ?? rest }
        }
        let needsNone = prefix.isEmpty || message.isAddressed || (message.isDirect && isOptionalInDirectChats)
        return needsNone ? text : nil
    }

    private func rest(afterPrefixOf text: String) -> String? {
        guard !prefix.isEmpty, text.utf8.starts(with: prefix.utf8) else { return nil }
        return CommandText.plain(text[text.utf8.index(text.startIndex, offsetBy: prefix.utf8.count)...])
    }

    /// Returns the text after a name, which is compared without case, and an optional `:`, `,` or `;`.
    private static func rest(of text: String, after name: String) -> String? {
        let (scalars, name) = (text.unicodeScalars, name.unicodeScalars)
        guard let end = scalars.index(scalars.startIndex, offsetBy: name.count, limitedBy: scalars.endIndex),
            String(scalars[..<end]).lowercased() == String(name).lowercased()
        else { return nil }
        var rest = scalars[end...]
        if let next = rest.first, ":,;".unicodeScalars.contains(next) {
            rest = rest.dropFirst()
        } else if let next = rest.first, let last = name.last, last.properties.isAlphabetic || isDigit(last) {
            guard next.isSeparator || next.isInvisible else { return nil }
        }
        return CommandText.plain(String(rest))
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.numericType != nil }
}
