/// A parser for Slack's markup (https://docs.slack.dev/messaging/formatting-message-text): three characters are
/// escaped, and `<…>` is a link or a mention. It is in PetrelKit because aliases written for Slack are used on other
/// backends, too.
public enum Mrkdwn {
    /// A part of a text.
    public enum Part: Equatable, Sendable {
        /// A text with its entities not yet decoded.
        case text(Substring)
        /// A mention: `<@U1|bob>` with the mark `@`, or `<#C1|ops>` with `#`.
        case mention(mark: Unicode.Scalar, id: String, label: String?)
        /// `<!here>`, `<!subteam^S1|@ops>` or `<!date^1700000000^{date}|today>`; the argument follows the first `^`.
        case special(name: String, argument: String?, label: String?)
        /// `<https://example.com|label>`.
        case link(target: String, label: String?)
    }

    /// Returns the parts of a text in their order. A `<` that is not closed on its line is text.
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

    /// Returns a text with the entities of `&`, `<` and `>` decoded.
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

    /// Returns a text in which mentions of many people at once, such as `<!channel>`, are plain text.
    public static func withoutMentions(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "!")) else { return text }
        return parts(of: text).map { part in
            if case .special(let name, let argument, let label) = part, everybody.contains(name) {
                return escaped(word(name, argument, label))
            }
            // A literal `<` must not become the start of a mention: `<!channel|<!here>>`.
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

    /// Returns a text that is safe to send to Slack: `<` and `&` that are not markup are escaped, and a link whose
    /// label looks like another address shows both.
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

    /// Returns a readable text for services that do not render Slack's markup: links with their addresses and mentions
    /// by their labels. Marks such as those of `*bold*` remain.
    public static func readable(_ text: String) -> String { parts(of: text).map { readable($0) }.joined() }

    private static func readable(_ part: Part) -> String {
        switch part {
        case .text(let raw): return unescaped(raw)
        case .mention(let mark, let id, let label):
            let name = label ?? id
            return name.unicodeScalars.first == mark ? name : "\(mark)\(name)"
        case .special(let name, let argument, let label): return word(name, argument, label)
        case .link(let target, let label):
            // Not Slack's markup, but output of a program.
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

    /// Returns true if a target has a scheme, so that Slack shows it as a link.
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

    /// Returns a text with `&`, `<` and `>` escaped, so that it is shown literally.
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
