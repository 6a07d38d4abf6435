import PetrelKit
import PetrelSupport

/// The names of the variables in a template. Stencil renders a name that it does not know as nothing, and an unfinished
/// tag as text, so both are checked when the configuration is read. It also ends the process for some paths, such as
/// the last item of an empty list, which are therefore unknown names, and it reads and renders without any limit.
struct TemplateNames {
    /// The first error, as a clause; nil if the template is valid.
    private(set) var problem: String?
    /// The template without its conditions, so that every part of it is rendered.
    private(set) var unconditional = ""
    /// The contents of each `{{ }}`, with a variable of the loop around it.
    private(set) var expressions: [(content: String, loopVariable: String?)] = []

    /// The words of expressions that are not variables.
    private static let keywords: Set<String> = [
        "and", "or", "not", "in", "true", "false", "nil", "none", "True", "False", "yes", "no",
    ]
    private static let conditions: Set<String> = ["if", "ifnot", "elif", "else", "endif"]
    /// The maximum number of characters of a tag: for the name of an unknown filter, Stencil searches similar ones in the
    /// square of its length.
    private static let longestTag = 500
    /// The maximum number of bytes of a template, of words in a tag, and of tags and of parentheses within each other.
    private static let (longest, mostWords, deepest) = (16_384, 100, 20)
    private static let loopValues: Set<String> = ["first", "last", "counter", "counter0", "length"]

    private let texts: Set<String>
    private let lists: Set<String>
    /// The variables of the loops around a tag, the innermost last.
    private var scopes: [Set<String>] = []
    /// The first variable of the loop around a tag; nil outside of a loop.
    private var loopVariable: String?
    /// The number of tags that are not closed.
    private var depth = 0

    /// Reads a template.
    /// - Parameters:
    ///   - texts: the names of texts and numbers.
    ///   - lists: the names of lists of texts.
    init(_ template: String, texts: Set<String>, lists: Set<String>) {
        self.texts = texts
        self.lists = lists
        guard template.utf8.count <= Self.longest else {
            note("is longer than \(Self.longest) bytes")
            return
        }
        var rest = template.unicodeScalars[...]
        var kept = String.UnicodeScalarView()
        while let open = Self.nextOpening(&rest, &kept) {
            let end = open == "{" ? "}" as Unicode.Scalar : open
            guard let content = Self.content(&rest, end) else {
                note("contains {\(open) without \(end)}")
                break
            }
            let tokens = open == "#" ? [] : tokens(content, isTag: open == "%")
            if tokens.count > Self.mostWords { note("contains a tag with more than \(Self.mostWords) words") }
            switch open {
            case "{":
                readExpression(tokens, beginsWithValue: true)
                expressions.append((String(content), loopVariable))
            case "%": readTag(tokens)
            default: break
            }
            if open != "#" { checkLength(content) }
            guard open != "%" || !Self.conditions.contains(tokens.first ?? "") else { continue }
            kept.append(contentsOf: ["{", open])
            kept.append(contentsOf: content)
            kept.append(contentsOf: [end, "}"])
        }
        unconditional = String(kept)
    }

    private mutating func note(_ problem: String) { self.problem = self.problem ?? problem }

    private mutating func checkLength(_ content: Substring.UnicodeScalarView) {
        if content.count > Self.longestTag { note("contains a tag of more than \(Self.longestTag) characters") }
        // Stencil reads a range within quotation marks, too.
        if content.firstRange(of: "...".unicodeScalars) != nil {
            note("contains ... in a tag; templates have no ranges")
        }
    }

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
        // Stencil takes `{#}` and `{%}` for whole tags.
        if end != "}", rest.first == "}" {
            defer { rest.removeFirst() }
            return rest[..<index]
        }
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

    /// The characters of the operators in tags.
    private static let operators: Set<Unicode.Scalar> = ["=", "!", "<", ">", "(", ")"]
    /// The token of a text in quotation marks.
    private static let text = "\"\""

    /// Splits an expression into words, `|`, `:` and texts in quotation marks.
    private mutating func tokens(_ content: Substring.UnicodeScalarView, isTag: Bool) -> [String] {
        var tokens: [String] = []
        var parentheses = 0
        var word = String.UnicodeScalarView()
        var quote: Unicode.Scalar?
        func finish() {
            if !word.isEmpty { tokens.append(String(word)) }
            word = String.UnicodeScalarView()
        }
        for (index, scalar) in zip(content.indices, content) {
            if let mark = quote {
                if scalar == mark {
                    quote = nil
                    tokens.append(Self.text)
                }
            } else if scalar == "\"" || scalar == "'" {
                finish()
                quote = scalar
            } else if scalar == "_" || scalar == "." || scalar == "[" || scalar == "]" || scalar.properties.isAlphabetic
                || scalar.properties.numericType != nil
            {
                word.append(scalar)
            } else {
                finish()
                if scalar == "(" { parentheses += 1 } else if scalar == ")" { parentheses -= 1 }
                if parentheses > Self.deepest {
                    note("contains more than \(Self.deepest) parentheses within each other")
                }
                if scalar == "|" || scalar == ":" || scalar == "," {
                    tokens.append(String(scalar))
                } else if !scalar.properties.isWhitespace, !(isTag && Self.operators.contains(scalar)),
                    !(scalar == "-" && Self.isEdge(index, of: content))
                {
                    note("contains \(scalar) in {\(isTag ? "%" : "{"), which has no meaning there")
                }
            }
        }
        finish()
        if let quote { note("contains a tag with an unclosed \(quote)") }
        return tokens
    }

    /// Returns true for the first and for the last place, where a hyphen removes the white space around a tag.
    private static func isEdge(
        _ index: Substring.UnicodeScalarView.Index, of content: Substring.UnicodeScalarView
    ) -> Bool {
        index == content.startIndex || content.index(after: index) == content.endIndex
    }

    private mutating func readTag(_ tokens: [String]) {
        switch tokens.first {
        case "for", "if", "ifnot", "filter": depth += 1
        case "endfor", "endif", "endfilter": depth -= 1
        default: break
        }
        if depth > Self.deepest { note("contains more than \(Self.deepest) tags within each other") }
        switch tokens.first {
        case "for":
            if !scopes.isEmpty { note("contains a loop within a loop") }
            let split = tokens.firstIndex(of: "in") ?? tokens.endIndex
            let list = tokens[split...].dropFirst()
            let condition = list.firstIndex(of: "where") ?? list.endIndex
            readExpression(list[..<condition])
            if let first = list[..<condition].first, problem == nil, !lists.contains(first) {
                note("loops over \"\(first)\", which is not a list")
            }
            if list[..<condition].count > 1 { note("loops over a list with a filter, which is not a list") }
            scopes.append(Set(tokens[..<split].dropFirst()))
            loopVariable = tokens[..<split].dropFirst().first
            readExpression(list[condition...].dropFirst())
        case "endfor": (_, loopVariable) = (scopes.popLast(), nil)
        case "if", "elif", "ifnot": readExpression(tokens.dropFirst())
        case "filter": readExpression(["|"] + tokens.dropFirst())
        case "empty", "else", "endif", "endfilter", "break", "continue": break
        case let tag?: note("uses the unknown tag \"\(tag)\"")
        case nil: note("contains an empty tag")
        }
    }

    /// - Parameter beginsWithValue: true if the expression is a value with filters, and not that of a tag.
    private mutating func readExpression(_ tokens: some Sequence<String>, beginsWithValue: Bool = false) {
        var (isFilter, isArgument, isFirst) = (false, false, true)
        for token in tokens {
            switch token {
            case "|":
                if isFilter { note("contains a | without a filter") }
                if isFirst, beginsWithValue { note("contains a | without a value") }
                (isFilter, isArgument) = (true, false)
            case ":", ",":
                if isFilter { note("contains a | without a filter") }
                isArgument = true
            case Self.text: isFilter = false
            default:
                if isFilter { isFilter = false } else { readName(token) }
                if isArgument, lists.contains(token) { note("uses the list \"\(token)\" as the argument of a filter") }
            }
            isFirst = false
        }
        if isFilter { note("contains a | without a filter") }
    }

    private mutating func readName(_ name: String) {
        if name.utf8.contains("...".utf8) { return note("uses the range \"\(name)\"; templates have none") }
        guard !isKnown(name) else { return }
        let near = Nearness.nearest(to: name, among: texts.union(lists).sorted(), limit: 1).first
        note("uses the unknown name \"\(name)\"" + (near.map { "; did you mean \"\($0)\"?" } ?? ""))
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
