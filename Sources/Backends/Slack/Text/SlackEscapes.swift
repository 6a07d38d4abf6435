/// The text of Slack's messages: three characters are escaped, and `<…>` is a link, a mention or a command
/// (https://docs.slack.dev/messaging/formatting-message-text).
enum SlackEscapes {
    /// What a person typed, decoded once.
    struct Decoded: Equatable {
        var text: String
        /// People and channels that came without their names, by their ids. In the text they stand as `@id` and `#id`.
        var unnamed: Set<String> = []
    }

    /// - Parameter names: of people and channels, by their ids, as far as they are known.
    static func decode(_ raw: String, names: (String) -> String?) -> Decoded {
        var decoded = Decoded(text: "")
        var rest = raw[...]
        while let start = rest.firstIndex(of: "<") {
            decoded.text += unescape(rest[..<start])
            let inner = rest.index(after: start)
            guard let end = rest[inner...].firstIndex(of: ">") else {
                // Slack escapes what people type: it is none of theirs, and left as it is.
                decoded.text += unescape(rest[start...])
                return decoded
            }
            decoded.text += part(rest[inner..<end], names, &decoded.unnamed)
            rest = rest[rest.index(after: end)...]
        }
        decoded.text += unescape(rest)
        return decoded
    }

    /// What stands between `<` and `>`.
    private static func part(_ part: Substring, _ names: (String) -> String?, _ unnamed: inout Set<String>) -> String {
        let pieces = part.split(separator: "|", maxSplits: 1, omittingEmptySubsequences: false)
        let target = pieces[0]
        let label = pieces.count > 1 && !pieces[1].isEmpty ? unescape(pieces[1]) : nil
        switch target.first {
        case "@", "#":
            let mark = String(target.prefix(1))
            let id = String(target.dropFirst())
            if let name = label ?? names(id) { return mark + name.drop { String($0) == mark } }
            unnamed.insert(id)
            return mark + id
        case "!": return special(target.dropFirst(), label)
        default: return link(unescape(target), label)
        }
    }

    /// `<!here>`, `<!subteam^S1|@ops>`, `<!date^1700000000^{date}|today>`.
    private static func special(_ command: Substring, _ label: String?) -> String {
        let name = command.prefix { $0 != "^" }
        switch name {
        case "here", "channel", "everyone": return "@\(name)"
        case "subteam": return label ?? "@\(command.dropFirst(name.count + 1))"
        default: return label ?? String(command)
        }
    }

    /// Slack makes links of what looks like one, with what was typed as the label. Another label is left out.
    private static func link(_ target: String, _ label: String?) -> String {
        guard let label else { return target.hasPrefix("mailto:") ? String(target.dropFirst(7)) : target }
        let wasTyped = ["http://", "https://", "mailto:", "tel:"].contains { scheme in
            target == scheme + label || target == scheme + label + "/"
        }
        return wasTyped ? label : link(target, nil)
    }

    private static let entities: [(Substring, Character)] = [("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")]

    private static func unescape(_ raw: Substring) -> String {
        guard raw.utf8.contains(UInt8(ascii: "&")) else { return String(raw) }
        var text = ""
        var rest = raw
        while let start = rest.firstIndex(of: "&") {
            text += rest[..<start]
            rest = rest[start...]
            let entity = entities.first { rest.hasPrefix($0.0) }
            text.append(entity?.1 ?? "&")
            rest = rest.dropFirst(entity?.0.count ?? 1)
        }
        return text + rest
    }

    /// What Slack shows as it stands.
    static func encode(_ text: some StringProtocol) -> String {
        var escaped = ""
        escaped.reserveCapacity(text.utf8.count)
        for character in text.unicodeScalars {
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            default: escaped.unicodeScalars.append(character)
            }
        }
        return escaped
    }
}
