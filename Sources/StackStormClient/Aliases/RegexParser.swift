/// A parser for regular expressions of Python's `re`. Positions in errors count code points, as in Python.
struct RegexParser {
    struct Result {
        var node: RegexNode
        /// The names of the groups by number; group 0 is the whole match.
        var names: [String?]
    }

    private static let deepest = 50
    private static let largestRepeat = 1_000

    private let scalars: [UInt32]
    private var position = 0
    private var names: [String?] = [nil]
    private var depth = 0
    private let dotAll: Bool

    static func parse(_ pattern: String, dotAll: Bool) throws(RegexError) -> Result {
        var parser = RegexParser(pattern, dotAll: dotAll)
        let node = try parser.alternatives()
        if parser.position < parser.scalars.count {
            throw .invalid("unbalanced parenthesis at position \(parser.position)")
        }
        return Result(node: node, names: parser.names)
    }

    private init(_ pattern: String, dotAll: Bool) {
        scalars = pattern.unicodeScalars.map(\.value)
        self.dotAll = dotAll
    }

    private var next: Unicode.Scalar? {
        position < scalars.count ? Unicode.Scalar(scalars[position]) : nil
    }

    private mutating func take(_ wanted: String) -> Bool {
        var end = position
        for scalar in wanted.unicodeScalars {
            guard end < scalars.count, scalars[end] == scalar.value else { return false }
            end += 1
        }
        position = end
        return true
    }

    private mutating func alternatives() throws(RegexError) -> RegexNode {
        var options = [try sequence()]
        while take("|") { options.append(try sequence()) }
        return options.count == 1 ? options[0] : .alternatives(options)
    }

    private mutating func sequence() throws(RegexError) -> RegexNode {
        var items: [RegexNode] = []
        while let scalar = next, scalar != "|", scalar != ")" {
            let start = position
            let item = try atom()
            items.append(try quantified(item, from: start))
        }
        return items.count == 1 ? items[0] : .sequence(items)
    }

    private mutating func atom() throws(RegexError) -> RegexNode {
        let start = position
        guard let scalar = next else { return .sequence([]) }
        position += 1
        switch scalar {
        case ".": return dotAll ? .any : .set(ScalarSet(ranges: [10...10], isNegated: true))
        case "^": return .assertion(.begin)
        case "$": return .assertion(.end)
        case "(": return try group(from: start)
        case "[": return try set(from: start)
        case "\\": return try escape(from: start)
        case "*", "+", "?": throw .invalid("nothing to repeat at position \(start)")
        default: return .character(scalar.value)
        }
    }

    private mutating func quantified(_ item: RegexNode, from start: Int) throws(RegexError) -> RegexNode {
        let at = position
        guard let (minimum, maximum) = try quantifier() else { return item }
        if case .assertion = item { throw .unsupported("a repeated anchor") }
        if case .sequence(let items) = item, items.isEmpty { throw .invalid("nothing to repeat at position \(at)") }
        let isGreedy = !take("?")
        if next == "+" { throw .unsupported("a possessive quantifier") }
        if next == "*" || next == "?" { throw .invalid("multiple repeat at position \(position)") }
        if next == "{" {
            let brace = position
            if try quantifier() != nil { throw .invalid("multiple repeat at position \(brace)") }
        }
        return .loop(item, minimum: minimum, maximum: maximum, isGreedy: isGreedy)
    }

    private mutating func quantifier() throws(RegexError) -> (Int, Int?)? {
        if take("*") { return (0, nil) }
        if take("+") { return (1, nil) }
        if take("?") { return (0, 1) }
        let start = position
        guard take("{") else { return nil }
        let low = number()
        var high = low
        if take(",") { high = number() }
        guard take("}"), scalars[start + 1] != 125 else {
            position = start
            return nil
        }
        let minimum = low ?? 0
        if let high, high < minimum { throw .invalid("min repeat greater than max repeat at position \(start + 1)") }
        guard max(minimum, high ?? 0) <= Self.largestRepeat else { throw .unsupported("a repeat of more than 1,000") }
        return (minimum, high)
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let scalar = next, ("0"..."9").contains(scalar) {
            value = min((value ?? 0) * 10 + Int(scalar.value - 48), 1_000_000)
            position += 1
        }
        return value
    }

    private mutating func group(from start: Int) throws(RegexError) -> RegexNode {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.deepest else { throw .unsupported("groups nested deeper than \(Self.deepest)") }
        guard take("?") else { return try body(of: nil, from: start, isCapturing: true) }
        if take(":") { return try body(of: nil, from: start, isCapturing: false) }
        if take("P<") { return try body(of: try name(), from: start, isCapturing: true) }
        if take("=") { return try look(from: start, behind: false, isIn: true) }
        if take("!") { return try look(from: start, behind: false, isIn: false) }
        if take("<=") { return try look(from: start, behind: true, isIn: true) }
        if take("<!") { return try look(from: start, behind: true, isIn: false) }
        if take("#") {
            while let scalar = next, scalar != ")" { position += 1; _ = scalar }
            guard take(")") else { throw .invalid("missing ), unterminated comment at position \(start)") }
            return .sequence([])
        }
        let flags = position
        while let scalar = next, "aiLmsux".unicodeScalars.contains(scalar) { position += 1 }
        if position > flags, next == ")", start > 0 {
            throw .invalid("global flags not at the start of the expression at position \(start)")
        }
        throw .unsupported("(?\(next.map(String.init) ?? "")…)")
    }

    private mutating func name() throws(RegexError) -> String {
        let start = position
        while let scalar = next, scalar != ">" { position += 1; _ = scalar }
        let text = scalars[start..<position].compactMap(Unicode.Scalar.init).map(String.init).joined()
        guard take(">") else { throw .invalid("missing >, unterminated name at position \(start)") }
        if text.isEmpty { throw .invalid("missing group name at position \(start)") }
        let isIdentifier = text.unicodeScalars.enumerated().allSatisfy { index, scalar in
            scalar == "_" || (index == 0 ? scalar.properties.isXIDStart : scalar.properties.isXIDContinue)
        }
        guard isIdentifier else { throw .invalid("bad character in group name '\(text)' at position \(start)") }
        if let first = names.firstIndex(of: text) {
            throw .invalid(
                "redefinition of group name '\(text)' as group \(names.count); was group \(first) at position \(start)")
        }
        return text
    }

    private mutating func body(of name: String?, from start: Int, isCapturing: Bool) throws(RegexError) -> RegexNode {
        let number = names.count
        if isCapturing { names.append(name) }
        let node = try alternatives()
        guard take(")") else { throw .invalid("missing ), unterminated subpattern at position \(start)") }
        return isCapturing ? .group(number, node) : node
    }

    private mutating func look(from start: Int, behind: Bool, isIn: Bool) throws(RegexError) -> RegexNode {
        let node = try alternatives()
        guard take(")") else { throw .invalid("missing ), unterminated subpattern at position \(start)") }
        let set: ScalarSet
        switch node {
        case .character(let value): set = ScalarSet(ranges: [value...value])
        case .set(let members): set = members
        default: throw .unsupported("a look-around of more than one character")
        }
        return .assertion(behind ? .behind(set, isIn) : .ahead(set, isIn))
    }
}

extension RegexParser {
    private static let classes: [Unicode.Scalar: ScalarSet.Class] = [
        "d": .digit, "D": .noDigit, "s": .space, "S": .noSpace, "w": .word, "W": .noWord,
    ]
    private static let controls: [Unicode.Scalar: UInt32] = ["n": 10, "r": 13, "t": 9, "f": 12, "v": 11, "a": 7]

    private mutating func escape(from start: Int) throws(RegexError) -> RegexNode {
        guard let scalar = next else { throw .invalid("bad escape (end of pattern) at position \(start)") }
        position += 1
        if let member = Self.classes[scalar] { return .set(ScalarSet(classes: [member])) }
        switch scalar {
        case "A": return .assertion(.begin)
        case "Z": return .assertion(.absoluteEnd)
        case "b": return .assertion(.wordBoundary)
        case "B": return .assertion(.noWordBoundary)
        default: return .character(try literal(scalar, from: start))
        }
    }

    /// Returns the character that an escape stands for.
    private func literal(_ scalar: Unicode.Scalar, from start: Int) throws(RegexError) -> UInt32 {
        if let control = Self.controls[scalar] { return control }
        if ("0"..."9").contains(scalar) || "xuUN".unicodeScalars.contains(scalar) {
            throw .unsupported("the escape \\\(scalar)")
        }
        if scalar.isASCII, scalar.properties.isAlphabetic {
            throw .invalid("bad escape \\\(scalar) at position \(start)")
        }
        return scalar.value
    }

    private mutating func set(from start: Int) throws(RegexError) -> RegexNode {
        let isNegated = take("^")
        var ranges: [ClosedRange<UInt32>] = []
        var classes: [ScalarSet.Class] = []
        var isFirst = true
        while let scalar = next, isFirst || scalar != "]" {
            isFirst = false
            let at = position
            let low = try member(&classes, in: start)
            guard next == "-", position + 1 < scalars.count, scalars[position + 1] != 93 else {
                if let low { ranges.append(low...low) }
                continue
            }
            position += 1
            guard let low, let high = try member(&classes, in: start), high >= low else {
                throw .invalid("bad character range at position \(at)")
            }
            ranges.append(low...high)
        }
        guard take("]") else { throw .invalid("unterminated character set at position \(start)") }
        return .set(ScalarSet(ranges: ranges, classes: classes, isNegated: isNegated))
    }

    /// Reads a member of a set. Returns nil if it is a class, which is appended to the classes.
    private mutating func member(_ classes: inout [ScalarSet.Class], in start: Int) throws(RegexError) -> UInt32? {
        guard let scalar = next else { throw .invalid("unterminated character set at position \(start)") }
        let at = position
        position += 1
        guard scalar == "\\" else { return scalar.value }
        guard let escaped = next else { throw .invalid("unterminated character set at position \(start)") }
        position += 1
        if let member = Self.classes[escaped] {
            classes.append(member)
            return nil
        }
        return escaped == "b" ? 8 : try literal(escaped, from: at)
    }
}
