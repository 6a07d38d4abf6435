import PetrelKit
import PetrelSupport

/// The names of the variables in a template. Stencil renders a name that it does not know as nothing, and an unfinished
/// tag as text, so both are checked when the configuration is read. It also ends the process for some paths, such as
/// the last item of an empty list, which are therefore unknown names.
struct TemplateNames {
    /// The first error, as a clause; nil if the template is valid.
    private(set) var problem: String?
    /// The template without its conditions, so that every part of it is rendered.
    private(set) var unconditional = ""

    /// The words of expressions that are not variables.
    private static let keywords: Set<String> = [
        "and", "or", "not", "in", "true", "false", "nil", "none", "True", "False", "yes", "no",
    ]
    private static let conditions: Set<String> = ["if", "ifnot", "elif", "else", "endif"]
    private static let loopValues: Set<String> = ["first", "last", "counter", "counter0", "length"]

    private let texts: Set<String>
    private let lists: Set<String>
    /// The variables of the loops around a tag, the innermost last.
    private var scopes: [Set<String>] = []

    /// Reads a template.
    /// - Parameters:
    ///   - texts: the names of texts and numbers.
    ///   - lists: the names of lists of texts.
    init(_ template: String, texts: Set<String>, lists: Set<String>) {
        self.texts = texts
        self.lists = lists
        var rest = template.unicodeScalars[...]
        var kept = String.UnicodeScalarView()
        while let open = Self.nextOpening(&rest, &kept) {
            let end = open == "{" ? "}" as Unicode.Scalar : open
            guard let content = Self.content(&rest, end) else {
                note("contains {\(open) without \(end)}")
                break
            }
            let tokens = open == "#" ? [] : tokens(content)
            switch open {
            case "{": readExpression(tokens)
            case "%": readTag(tokens)
            default: break
            }
            guard open != "%" || !Self.conditions.contains(tokens.first ?? "") else { continue }
            kept.append(contentsOf: ["{", open])
            kept.append(contentsOf: content)
            kept.append(contentsOf: [end, "}"])
        }
        unconditional = String(kept)
    }

    private mutating func note(_ problem: String) { self.problem = self.problem ?? problem }

    /// Moves behind the next `{{`, `{%` or `{#`, keeps the text before it, and returns its second scalar.
    private static func nextOpening(
        _ rest: inout Substring.UnicodeScalarView, _ kept: inout String.UnicodeScalarView
    ) -> Unicode.Scalar? {
        while let scalar = rest.popFirst() {
            if scalar == "{", let next = rest.first, next == "{" || next == "%" || next == "#" {
                rest.removeFirst()
                return next
            }
            kept.append(scalar)
        }
        return nil
    }

    /// Returns the text up to the closing mark, and moves behind it. Returns nil without a closing mark.
    private static func content(
        _ rest: inout Substring.UnicodeScalarView, _ end: Unicode.Scalar
    ) -> Substring.UnicodeScalarView? {
        var index = rest.startIndex
        while index < rest.endIndex {
            let next = rest.index(after: index)
            if rest[index] == end, next < rest.endIndex, rest[next] == "}" {
                defer { rest = rest[rest.index(after: next)...] }
                return rest[..<index]
            }
            index = next
        }
        return nil
    }

    /// Splits an expression into words, `|` and `:`; texts in quotation marks are left out.
    private mutating func tokens(_ content: Substring.UnicodeScalarView) -> [String] {
        var tokens: [String] = []
        var word = String.UnicodeScalarView()
        var quote: Unicode.Scalar?
        func finish() {
            if !word.isEmpty { tokens.append(String(word)) }
            word = String.UnicodeScalarView()
        }
        for scalar in content {
            if let mark = quote {
                if scalar == mark { quote = nil }
            } else if scalar == "\"" || scalar == "'" {
                finish()
                quote = scalar
            } else if scalar == "_" || scalar == "." || scalar == "[" || scalar == "]" || scalar.properties.isAlphabetic
                || scalar.properties.numericType != nil
            {
                word.append(scalar)
            } else {
                finish()
                if scalar == "|" || scalar == ":" || scalar == "," { tokens.append(String(scalar)) }
            }
        }
        finish()
        if let quote { note("contains a tag with an unclosed \(quote)") }
        return tokens
    }

    private mutating func readTag(_ tokens: [String]) {
        switch tokens.first {
        case "for":
            let split = tokens.firstIndex(of: "in") ?? tokens.endIndex
            let list = tokens[split...].dropFirst()
            let condition = list.firstIndex(of: "where") ?? list.endIndex
            readExpression(list[..<condition])
            scopes.append(Set(tokens[..<split].dropFirst()))
            readExpression(list[condition...].dropFirst())
        case "endfor": _ = scopes.popLast()
        case "if", "elif", "ifnot": readExpression(tokens.dropFirst())
        case "filter": readExpression(["|"] + tokens.dropFirst())
        case "empty", "else", "endif", "endfilter", "break", "continue": break
        case let tag?: note("uses the unknown tag \"\(tag)\"")
        case nil: note("contains an empty tag")
        }
    }

    private mutating func readExpression(_ tokens: some Sequence<String>) {
        var isFilter = false
        for token in tokens {
            switch token {
            case "|": isFilter = true
            case ":", ",": isFilter = false
            default:
                if isFilter { isFilter = false } else { readRange(token) }
            }
        }
    }

    /// Reads a word, which may be a range such as `1...jobid`.
    private mutating func readRange(_ word: String) {
        var parts = [String.UnicodeScalarView()]
        var dots = 0
        for scalar in word.unicodeScalars {
            parts[parts.count - 1].append(scalar)
            dots = scalar == "." ? dots + 1 : 0
            guard dots == 3 else { continue }
            parts[parts.count - 1].removeLast(3)
            parts.append(String.UnicodeScalarView())
        }
        for part in parts where !isKnown(String(part)) {
            let name = String(part)
            let near = Nearness.nearest(to: name, among: texts.union(lists).sorted(), limit: 1).first
            note("uses the unknown name \"\(name)\"" + (near.map { "; did you mean \"\($0)\"?" } ?? ""))
        }
    }

    /// Returns true for a number and for the path of a value, such as `arguments.0` or `arguments[0]`.
    private func isKnown(_ path: String) -> Bool {
        var dotted = String.UnicodeScalarView()
        for scalar in path.unicodeScalars where scalar != "]" { dotted.append(scalar == "[" ? "." : scalar) }
        let parts = dotted.split(separator: ".", omittingEmptySubsequences: false).map { String($0) }
        let (head, member) = (parts[0], parts.count == 2 ? parts[1] : nil)
        if parts.allSatisfy(Self.isNumber) { return parts.count <= 2 }
        guard parts.count <= 2 else { return false }
        if head == "forloop" { return !scopes.isEmpty && member.map { Self.loopValues.contains($0) } == true }
        if scopes.contains(where: { $0.contains(head) }) { return member == nil }
        if lists.contains(head) { return member.map { Self.isNumber($0) || $0 == "first" || $0 == "count" } ?? true }
        return member == nil && (texts.contains(head) || Self.keywords.contains(head))
    }

    private static func isNumber(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }
}
