/// Slack's markup (https://docs.slack.dev/messaging/formatting-message-text): three characters are escaped, and `<…>` is a
/// link, a mention or a command. In PetrelKit, because aliases that were written for Slack speak elsewhere too.
public enum Mrkdwn {
    public enum Part: Equatable, Sendable {
        /// With its entities.
        case text(Substring)
        /// `<@U1|bob>` with the mark `@`, `<#C1|ops>` with `#`.
        case mention(mark: Unicode.Scalar, id: String, label: String?)
        /// `<!here>`, `<!subteam^S1|@ops>`, `<!date^1700000000^{date}|today>`: the argument is what follows the first `^`.
        case special(name: String, argument: String?, label: String?)
        case link(target: String, label: String?)
    }

    /// The parts of a text, in their order. A `<` that nothing closes on its line is text.
    public static func parts(of text: String) -> [Part] {
        let bytes = text.utf8
        var parts: [Part] = []
        var start = bytes.startIndex
        var place = start
        while let open = bytes[place...].firstIndex(of: UInt8(ascii: "<")) {
            let inner = bytes.index(after: open)
            guard let end = bytes[inner...].firstIndex(where: { [0x3C, 0x3E, 0x0A].contains($0) }) else { break }
            place = end
            guard bytes[end] == UInt8(ascii: ">") else { continue }
            if start < open { parts.append(.text(text[start..<open])) }
            parts.append(part(text[inner..<end]))
            place = bytes.index(after: end)
            start = place
        }
        if start < bytes.endIndex { parts.append(.text(text[start...])) }
        return parts
    }

    private static func part(_ inner: Substring) -> Part {
        let (target, label) = cut(inner, at: UInt8(ascii: "|"))
        let shown = label.flatMap { $0.isEmpty ? nil : unescaped($0) }
        guard let mark = target.unicodeScalars.first else { return .link(target: "", label: shown) }
        let rest = Substring(target.unicodeScalars.dropFirst())
        switch mark {
        case "@", "#": return .mention(mark: mark, id: String(rest), label: shown)
        case "!":
            let (name, argument) = cut(rest, at: UInt8(ascii: "^"))
            return .special(name: String(name), argument: argument.map(String.init), label: shown)
        default: return .link(target: unescaped(target), label: shown)
        }
    }

    private static func cut(_ text: Substring, at byte: UInt8) -> (Substring, Substring?) {
        guard let place = text.utf8.firstIndex(of: byte) else { return (text, nil) }
        return (text[..<place], text[text.utf8.index(after: place)...])
    }

    private static let entities: [(name: String, character: Unicode.Scalar)] = [
        ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"),
    ]

    /// A text without the escapes of `&`, `<` and `>`.
    public static func unescaped(_ raw: Substring) -> String {
        guard raw.utf8.contains(UInt8(ascii: "&")) else { return String(raw) }
        var text = String.UnicodeScalarView()
        var rest = raw.unicodeScalars
        while let scalar = rest.first {
            let entity = scalar == "&" ? entities.first { rest.starts(with: $0.name.unicodeScalars) } : nil
            text.append(entity?.character ?? scalar)
            rest = rest.dropFirst(entity?.name.utf8.count ?? 1)
        }
        return String(text)
    }
}

extension Mrkdwn {
    private static let everybody: Set<String> = ["here", "channel", "everyone", "group", "subteam"]

    /// The same without what calls many people at once, which stays as text.
    public static func withoutMentions(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "!")) else { return text }
        return parts(of: text).map { part in
            if case .special(let name, let argument, let label) = part, everybody.contains(name) {
                return escaped(word(name, argument, label))
            }
            // A `<` that was text must not find an end now: `<!channel|<!here>>`.
            if case .text(let raw) = part { return escapedOpenings(raw) }
            return source(part)
        }.joined()
    }

    /// Scalar by scalar.
    private static func escapedOpenings(_ raw: Substring) -> String {
        raw.unicodeScalars.reduce(into: "") { text, scalar in
            if scalar == "<" { text += "&lt;" } else { text.unicodeScalars.append(scalar) }
        }
    }

    /// What Slack may be sent: `<` and `&` that are no markup of its own are escaped, and a link that passes for another
    /// shows both addresses.
    public static func safe(_ text: String) -> String {
        parts(of: text).map { part in
            switch part {
            case .text(let raw): return escaped(unescaped(raw))
            case .link(let target, let label):
                guard isAddress(target) else { return escaped(readable(part)) }
                guard let label, WebLink.misleads(label, about: target) else { return source(part) }
                return "\(escaped(label)) (<\(escaped(target))>)"
            case .mention, .special: return source(part)
            }
        }.joined()
    }

    /// For where Slack's markup is not shown: links with their addresses, mentions by their labels; `*bold*` and the like
    /// stand as they are.
    public static func readable(_ text: String) -> String { parts(of: text).map { readable($0) }.joined() }

    private static func readable(_ part: Part) -> String {
        switch part {
        case .text(let raw): return unescaped(raw)
        case .mention(let mark, let id, let label):
            let name = label ?? id
            return name.unicodeScalars.first == mark ? name : "\(mark)\(name)"
        case .special(let name, let argument, let label): return word(name, argument, label)
        case .link(let target, let label):
            // No markup of Slack's: it was printed so.
            guard isAddress(target) else { return "<\(target)\(label.map { "|\($0)" } ?? "")>" }
            guard let label, label != target else { return target }
            return "\(label) (\(target))"
        }
    }

    private static func word(_ name: String, _ argument: String?, _ label: String?) -> String {
        switch name {
        case "here", "channel", "everyone", "group": "@\(name)"
        case "subteam": label ?? "@\(argument ?? "")"
        default: label ?? "!\(name)\(argument.map { "^\($0)" } ?? "")"
        }
    }

    /// With a scheme, as Slack makes links of.
    private static func isAddress(_ target: String) -> Bool {
        guard let colon = target.utf8.firstIndex(of: UInt8(ascii: ":")), colon > target.startIndex else { return false }
        return target[..<colon].utf8.allSatisfy { byte in
            (0x61...0x7A).contains(byte | 0x20) || (0x30...0x39).contains(byte) || [0x2B, 0x2D, 0x2E].contains(byte)
        }
    }

    private static func source(_ part: Part) -> String {
        func labelled(_ target: String, _ label: String?) -> String {
            "<\(target)\(label.map { "|" + escaped($0) } ?? "")>"
        }
        switch part {
        case .text(let raw): return String(raw)
        case .mention(let mark, let id, let label): return labelled("\(mark)\(id)", label)
        case .special(let name, let argument, let label):
            return labelled("!\(name)\(argument.map { "^\($0)" } ?? "")", label)
        case .link(let target, let label): return labelled(escaped(target), label)
        }
    }

    /// A text as it has to be written to be shown as it stands.
    public static func escaped(_ text: some StringProtocol) -> String {
        var escaped = ""
        escaped.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
