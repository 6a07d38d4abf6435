import PetrelKit
import PetrelSupport
import StackStormClient

/// An alias format that can be filled in: fixed words, and blanks such as `{{ host }}` or `{{ minutes=15 }}`.
struct CommandTemplate {
    struct Blank: Equatable {
        var name: String
        /// The default value.
        var initial: String?
    }

    private enum Part {
        case words(String)
        case blank(Blank)
    }

    let source: String
    private let parts: [Part]

    /// Parses a format. Returns nil if the text outside of the blanks is a regular expression, for which no unique line
    /// exists.
    init?(_ source: String) {
        self.source = source
        var parts: [Part] = []
        var rest = Substring(source)
        while let start = rest.firstRange(of: "{{") {
            guard let end = rest[start.upperBound...].firstRange(of: "}}") else { return nil }
            parts.append(.words(String(rest[..<start.lowerBound])))
            let sides = rest[start.upperBound..<end.lowerBound].split(separator: "=", maxSplits: 1).map(Self.trimmed)
            guard let name = sides.first, !name.isEmpty else { return nil }
            parts.append(.blank(Blank(name: name, initial: sides.count > 1 ? Self.unquoted(sides[1]) : nil)))
            rest = rest[end.upperBound...]
        }
        parts.append(.words(String(rest)))
        for case .words(let words) in parts where words.contains(where: { #"\^$*+?()[]|{}"#.contains($0) }) {
            return nil
        }
        self.parts = parts
    }

    private static func trimmed(_ text: Substring) -> String {
        let start = text.drop { $0.isWhitespace }
        return String(start.reversed().drop { $0.isWhitespace }.reversed())
    }

    private static func unquoted(_ text: String) -> String {
        guard text.count > 1, let quote = text.first, quote == "\"" || quote == "'", text.last == quote else {
            return text
        }
        return String(text.dropFirst().dropLast())
    }

    var blanks: [Blank] {
        parts.compactMap { if case .blank(let blank) = $0 { blank } else { nil } }
    }

    /// The format for display, with each blank as `<name>`.
    var example: String {
        parts.map { part in
            switch part {
            case .words(let words): words
            case .blank(let blank): "<\(blank.name)>"
            }
        }.joined()
    }

    /// Returns a line with the given values. A value without a blank is appended as `name=value`.
    ///
    /// Returns nil if StackStorm would not parse any spelling of the line as these values.
    func line(_ values: [String: String], others: [String]) -> String? {
        let ways: [(String) -> String?] = [Self.plainOrQuoted, { $0 }]
        return ways.lazy.compactMap { write in written(values, others, write) }.first { means($0, values, others) }
    }

    private func written(_ values: [String: String], _ others: [String], _ write: (String) -> String?) -> String? {
        var line = ""
        for part in parts {
            switch part {
            case .words(let words): line += words
            case .blank(let blank):
                guard let value = values[blank.name] ?? blank.initial, let text = write(value) else { return nil }
                line += text
            }
        }
        for name in others {
            guard let value = values[name] else { continue }
            guard let text = Self.plainOrQuoted(value) else { return nil }
            line += " \(name)=\(text)"
        }
        return line
    }

    private static func plainOrQuoted(_ value: String) -> String? {
        let scalars = value.unicodeScalars
        if !scalars.contains(where: { $0.isSeparator || $0 == "\"" || $0 == "'" || $0 == "=" }) { return value }
        if !scalars.contains("\"") { return "\"\(value)\"" }
        return scalars.contains("'") ? nil : "'\(value)'"
    }

    /// Returns true if StackStorm parses a line as these values.
    private func means(_ line: String, _ values: [String: String], _ others: [String]) -> Bool {
        let stream = CommandStream(line)
        guard !stream.isCutElsewhere, let format = try? AliasFormat(source),
            let read = try? format.parameters(of: stream)
        else { return false }
        var wanted = values
        for blank in blanks where wanted[blank.name] == nil { wanted[blank.name] = blank.initial }
        return Dictionary(read.map { ($0.name, $0.value ?? "") }) { _, last in last } == wanted
    }
}
