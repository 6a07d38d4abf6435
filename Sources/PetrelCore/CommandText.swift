package import PetrelKit
import PetrelSupport

/// A message normalised once, into the two forms that everything else uses.
package struct CommandText: Hashable, Sendable {
    /// What runs: outer white space and invisible characters off, smart quotes and no-break spaces made plain, the inside kept.
    package let text: String
    /// What access rules see: `text` with every run of white space as one space.
    package var line: String { Self.line(of: text) }

    package init(_ raw: some StringProtocol) {
        text = Self.plain(raw)
    }

    static func plain(_ raw: some StringProtocol) -> String {
        let scalars = raw.unicodeScalars.map { $0.typed }
        // What takes up no room is not seen, and was not meant.
        let isText = { (scalar: Unicode.Scalar) in !scalar.properties.isWhitespace && !scalar.isInvisible }
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
        if let rest = rest(afterPrefixOf: text) { return rest }
        for alternate in alternates {
            // `petrel: !status` is `petrel: status`.
            if let rest = Self.rest(of: text, after: alternate) { return self.rest(afterPrefixOf: rest) ?? rest }
        }
        let needsNone = prefix.isEmpty || message.isAddressed || (message.isDirect && isOptionalInDirectChats)
        return needsNone ? text : nil
    }

    private func rest(afterPrefixOf text: String) -> String? {
        guard !prefix.isEmpty, text.utf8.starts(with: prefix.utf8) else { return nil }
        return CommandText.plain(text[text.utf8.index(text.startIndex, offsetBy: prefix.utf8.count)...])
    }

    /// What follows a name in whatever case, and one of `:`, `,` and `;`.
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
