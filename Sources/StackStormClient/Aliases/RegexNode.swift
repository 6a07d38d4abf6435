/// The syntax tree of a regular expression of Python's `re`, for the constructs that alias formats use.
indirect enum RegexNode: Equatable {
    case character(UInt32)
    case any
    case set(ScalarSet)
    case assertion(Assertion)
    case sequence([RegexNode])
    case alternatives([RegexNode])
    /// A capturing group, with its number.
    case group(Int, RegexNode)
    case loop(RegexNode, minimum: Int, maximum: Int?, isGreedy: Bool)

    enum Assertion: Equatable {
        case begin, end, absoluteEnd, wordBoundary, noWordBoundary
        /// One character ahead or behind, inside the set or not.
        case ahead(ScalarSet, Bool)
        case behind(ScalarSet, Bool)
    }
}

/// An error of a pattern.
enum RegexError: Error, Equatable {
    /// The pattern is invalid for Python as well. The value is Python's message.
    case invalid(String)
    /// The pattern uses a construct that Python supports and this matcher does not. The value describes it.
    case unsupported(String)
}

/// A set of Unicode scalars: ranges and Python's classes, ASCII as a bit map.
struct ScalarSet: Equatable, Sendable {
    enum Class: Int, CaseIterable, Sendable { case digit, space, word, noDigit, noSpace, noWord }

    private(set) var ranges: [ClosedRange<UInt32>] = []
    private(set) var classes: [Class] = []
    private var isNegated = false
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    init(ranges: [ClosedRange<UInt32>] = [], classes: [Class] = [], isNegated: Bool = false) {
        self.ranges = ranges
        self.classes = classes
        self.isNegated = isNegated
        for range in ranges where range.lowerBound < 128 {
            for value in range.lowerBound...min(range.upperBound, 127) { add(value) }
        }
        for member in classes {
            low |= Self.ascii[member.rawValue].low
            high |= Self.ascii[member.rawValue].high
        }
        if isNegated { (low, high) = (~low, ~high) }
    }

    /// The ASCII members of each class, as bit maps.
    private static let ascii = Class.allCases.map { member in
        var set = ScalarSet(ranges: [], classes: [], isNegated: false)
        for value in UInt32(0)..<128 where holds(member, value) { set.add(value) }
        return (low: set.low, high: set.high)
    }

    private mutating func add(_ value: UInt32) {
        if value < 64 { low |= 1 << UInt64(value) } else { high |= 1 << UInt64(value - 64) }
    }

    @inline(__always)
    func contains(_ value: UInt32) -> Bool {
        if value < 64 { return low >> UInt64(value) & 1 == 1 }
        if value < 128 { return high >> UInt64(value - 64) & 1 == 1 }
        return holds(value)
    }

    private func holds(_ value: UInt32) -> Bool {
        let isIn = ranges.contains { $0.contains(value) } || classes.contains { Self.holds($0, value) }
        return isIn != isNegated
    }

    private static func holds(_ member: Class, _ value: UInt32) -> Bool {
        switch member {
        case .digit: isDigit(value)
        case .noDigit: !isDigit(value)
        case .space: isSpace(value)
        case .noSpace: !isSpace(value)
        case .word: isWord(value)
        case .noWord: !isWord(value)
        }
    }

    /// Returns true for white space, as Python's `str.isspace`.
    @inline(__always)
    static func isSpace(_ value: UInt32) -> Bool {
        switch value {
        case 9...13, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    private static func isDigit(_ value: UInt32) -> Bool {
        if value < 128 { return (48...57).contains(value) }
        return Unicode.Scalar(value)?.properties.generalCategory == .decimalNumber
    }

    static func isWord(_ value: UInt32) -> Bool {
        if value < 128 {
            return (48...57).contains(value) || (65...90).contains(value) || (97...122).contains(value) || value == 95
        }
        guard let properties = Unicode.Scalar(value)?.properties else { return false }
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber:
            return true
        default: return properties.numericType != nil
        }
    }
}
