/// The names of the variables in a template. Stencil renders a name that it does not know as nothing, so they are
/// checked when the configuration is read.
struct TemplateNames {
    /// The words of expressions that are not variables.
    private static let keywords: Set<String> = [
        "and", "or", "not", "in", "true", "false", "nil", "none", "True", "False",
    ]

    private var used: [String] = []
    private var defined: Set<String> = []

    init(_ template: String) {
        var rest = template.unicodeScalars[...]
        while let open = Self.nextOpening(&rest) {
            let end = open == "{" ? "}" as Unicode.Scalar : open
            let content = Self.content(&rest, end)
            switch open {
            case "{": readExpression(Self.tokens(content))
            case "%": readTag(Self.tokens(content))
            default: break
            }
        }
    }

    /// Returns the first name that is neither in the set nor defined by the template itself.
    func unknown(among known: Set<String>) -> String? {
        used.first { !known.contains($0) && !defined.contains($0) && !Self.keywords.contains($0) }
    }

    /// Moves behind the next `{{`, `{%` or `{#`, and returns its second scalar.
    private static func nextOpening(_ rest: inout Substring.UnicodeScalarView) -> Unicode.Scalar? {
        while let scalar = rest.popFirst() {
            guard scalar == "{", let next = rest.first, next == "{" || next == "%" || next == "#" else { continue }
            rest.removeFirst()
            return next
        }
        return nil
    }

    /// Returns the text up to the closing mark, and moves behind it.
    private static func content(
        _ rest: inout Substring.UnicodeScalarView, _ end: Unicode.Scalar
    ) -> Substring.UnicodeScalarView {
        let start = rest
        var index = rest.startIndex
        while index < rest.endIndex {
            let next = rest.index(after: index)
            if rest[index] == end, next < rest.endIndex, rest[next] == "}" {
                rest = rest[rest.index(after: next)...]
                return start[..<index]
            }
            index = next
        }
        rest = rest[rest.endIndex...]
        return start
    }

    /// Splits an expression into words, `|` and `:`; texts in quotation marks and numbers are left out.
    private static func tokens(_ content: Substring.UnicodeScalarView) -> [String] {
        var tokens: [String] = []
        var word = String.UnicodeScalarView()
        var quote: Unicode.Scalar?
        func finish() {
            guard let first = word.first else { return }
            if !(first.value >= 0x30 && first.value <= 0x39) { tokens.append(String(word)) }
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
        return tokens
    }

    private mutating func readTag(_ tokens: [String]) {
        guard let tag = tokens.first else { return }
        switch tag {
        case "for":
            guard let split = tokens.firstIndex(of: "in") else { return }
            defined.formUnion(tokens[1..<split].filter { $0 != "," })
            defined.insert("forloop")
            readExpression(Array(tokens[(split + 1)...].filter { $0 != "where" }))
        case "if", "elif", "ifnot": readExpression(Array(tokens.dropFirst()))
        default: break
        }
    }

    private mutating func readExpression(_ tokens: [String]) {
        var isFilter = false
        for token in tokens {
            switch token {
            case "|": isFilter = true
            case ":", ",": isFilter = false
            default:
                if isFilter { isFilter = false } else { used.append(Self.head(token)) }
            }
        }
    }

    /// Returns the variable of a path such as `arguments.0` or `arguments[0]`.
    private static func head(_ path: String) -> String {
        String(path.unicodeScalars.prefix { $0 != "." && $0 != "[" })
    }
}
