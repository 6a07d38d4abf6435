import Foundation

/// A pattern with the syntax of Python's `fnmatch`: `*`, `?`, `[seq]` and `[!seq]`, without an escape character. A `[`
/// without `]` is literal.
package struct Glob: Sendable, Hashable {
    /// The pattern as it was written.
    package let pattern: String
    /// The steps of the pattern: each is the value of a Unicode scalar, or one of the constants below.
    private let steps: [UInt32]
    private let sets: [ScalarSet]
    /// The sketch of the scalars that every matching text contains.
    private let needs: ScalarSketch

    private static let run: UInt32 = 0xFFFF_FFFF
    private static let any: UInt32 = 0xFFFF_FFFE
    /// The flag of a set, whose index is in the lower bits.
    private static let set: UInt32 = 0x8000_0000

    /// Parses a pattern. Every text is a valid pattern.
    package init(_ pattern: String, ignoringCase: Bool = false) {
        self.pattern = pattern
        let scalars = GlobText(pattern, ignoringCase: ignoringCase).scalars
        var steps: [UInt32] = []
        var sets: [ScalarSet] = []
        var index = 0
        while index < scalars.count {
            let scalar = scalars[index]
            index += 1
            switch scalar {
            case .asterisk: if steps.last != Self.run { steps.append(Self.run) }
            case .question: steps.append(Self.any)
            case .open:
                guard let end = ScalarSet.end(in: scalars, from: index) else {
                    steps.append(scalar)
                    continue
                }
                steps.append(Self.set | UInt32(sets.count))
                sets.append(ScalarSet(scalars[index..<end]))
                index = end + 1
            default: steps.append(scalar)
            }
        }
        self.steps = steps
        self.sets = sets
        needs = ScalarSketch(steps) { $0 < Self.set }
    }

    /// True if the pattern has no wildcards.
    package var isLiteral: Bool { steps.allSatisfy { $0 < Self.set } }

    /// The literal beginning of the pattern.
    var beginning: ArraySlice<UInt32> { steps.prefix { $0 < Self.set } }

    /// Returns true if the whole text matches.
    package func matches(_ text: GlobText) -> Bool {
        needs.isWithin(text.sketch)
            && text.scalars.withUnsafeBufferPointer { text in
                steps.withUnsafeBufferPointer { steps in matches(text, steps) }
            }
    }

    /// Matches with backtracking to the last `*` only, so that the time is at most the product of both lengths.
    private func matches(_ text: UnsafeBufferPointer<UInt32>, _ steps: UnsafeBufferPointer<UInt32>) -> Bool {
        var step = 0
        var position = 0
        var afterRun = -1
        var resume = 0
        while position < text.count {
            if step < steps.count {
                if steps[step] == Self.run {
                    step += 1
                    (afterRun, resume) = (step, position)
                    continue
                }
                if fits(text[position], steps[step]) {
                    step += 1
                    position += 1
                    continue
                }
            }
            guard afterRun >= 0 else { return false }
            resume += 1
            (step, position) = (afterRun, resume)
        }
        while step < steps.count, steps[step] == Self.run { step += 1 }
        return step == steps.count
    }

    @inline(__always)
    private func fits(_ scalar: UInt32, _ step: UInt32) -> Bool {
        if step < Self.set { return scalar == step }
        return step == Self.any || sets[Int(step & ~Self.set)].contains(scalar)
    }
}

extension Glob {
    /// Returns true if the pattern provably matches every text that another pattern matches.
    package func covers(_ other: Glob) -> Bool {
        // Dynamic programming: each row states which rests of this pattern cover a rest of the other one.
        var row = [Bool](repeating: false, count: steps.count + 1)
        for theirs in (0...other.steps.count).reversed() {
            var new = [Bool](repeating: false, count: steps.count + 1)
            for mine in (0...steps.count).reversed() {
                let isRun = mine < steps.count && steps[mine] == Self.run
                if theirs == other.steps.count {
                    new[mine] = mine == steps.count || (isRun && new[mine + 1])
                } else if isRun {
                    new[mine] = new[mine + 1] || row[mine]
                } else if mine < steps.count, other.steps[theirs] != Self.run {
                    new[mine] = row[mine + 1] && step(mine, covers: other, theirs)
                }
            }
            row = new
        }
        return row[0]
    }

    private func step(_ mine: Int, covers other: Glob, _ theirs: Int) -> Bool {
        let (step, their) = (steps[mine], other.steps[theirs])
        if step == Self.any { return true }
        if their < Self.set { return fits(their, step) }
        guard their != Self.any, step >= Self.set else { return false }
        return sets[Int(step & ~Self.set)].covers(other.sets[Int(their & ~Self.set)])
    }

    /// A description of a probable error in the pattern; nil if none exists.
    package var oddity: String? {
        if pattern.isEmpty { return "is empty and matches nothing" }
        if sets.contains(where: \.isEmpty) { return "has an empty […], so it matches nothing" }
        if steps.contains(.open) { return "has a “[” without “]”, which is taken literally" }
        return nil
    }
}

/// A text that is prepared for matching: decoded, and in Unicode Normalization Form C, so that equivalent texts match.
package struct GlobText: Sendable {
    let scalars: [UInt32]
    fileprivate let sketch: ScalarSketch

    /// Prepares a text.
    package init(_ text: String, ignoringCase: Bool = false) {
        let cased = ignoringCase ? text.lowercased() : text
        let isPlain = cased.utf8.allSatisfy { $0 < 0x80 }
        scalars =
            isPlain
            ? cased.utf8.map { UInt32($0) }
            : cased.precomposedStringWithCanonicalMapping.unicodeScalars.map(\.value)
        sketch = ScalarSketch(scalars) { _ in true }
    }
}

/// A Bloom filter of the scalars of a text and of its pairs of adjacent scalars. It quickly excludes most texts that do
/// not match: a decision by 500 rules that all begin with `*` takes 29 µs less with it, of 32 (`make bench`). Two words
/// that are compared with two instructions replace no library.
private struct ScalarSketch: Sendable, Hashable {
    private var single: UInt64 = 0
    private var pairs: UInt64 = 0

    /// - Parameter counts: returns true for values that are scalars of the text.
    init(_ scalars: [UInt32], where counts: (UInt32) -> Bool) {
        var last: UInt32?
        for scalar in scalars {
            guard counts(scalar) else {
                last = nil
                continue
            }
            single |= Self.bit(scalar)
            if let last { pairs |= Self.bit(scalar &+ last &* 31) }
            last = scalar
        }
    }

    private static func bit(_ value: UInt32) -> UInt64 { 1 << UInt64((value &* 0x9E37_79B1) >> 26) }

    func isWithin(_ other: ScalarSketch) -> Bool { single & ~other.single == 0 && pairs & ~other.pairs == 0 }
}

/// The content of `[…]`.
private struct ScalarSet: Sendable, Hashable {
    private var ranges: [ClosedRange<UInt32>] = []
    private var isNegated = false

    /// Returns the index of the `]` that ends a set, which is not its first character; nil if none exists.
    static func end(in scalars: [UInt32], from start: Int) -> Int? {
        var index = start
        if index < scalars.count, scalars[index] == .exclamation { index += 1 }
        if index < scalars.count, scalars[index] == .close { index += 1 }
        return scalars[min(index, scalars.count)...].firstIndex(of: .close)
    }

    init(_ content: ArraySlice<UInt32>) {
        var rest = content
        if rest.first == .exclamation {
            isNegated = true
            rest = rest.dropFirst()
        }
        while let first = rest.popFirst() {
            guard rest.count >= 2, rest.first == .hyphen else {
                ranges.append(first...first)
                continue
            }
            let last = rest[rest.startIndex + 1]
            rest = rest.dropFirst(2)
            if first <= last { ranges.append(first...last) }
        }
    }

    var isEmpty: Bool { ranges.isEmpty && !isNegated }

    func contains(_ scalar: UInt32) -> Bool { ranges.contains { $0.contains(scalar) } != isNegated }

    func covers(_ other: ScalarSet) -> Bool {
        guard !other.isNegated else { return other == self }
        // The limit bounds the time. A larger set counts as not covered.
        let count = other.ranges.reduce(0) { $0 + $1.count }
        return count <= 512 && other.ranges.allSatisfy { $0.allSatisfy(contains) }
    }
}

extension UInt32 {
    fileprivate static let asterisk = Unicode.Scalar("*").value
    fileprivate static let question = Unicode.Scalar("?").value
    fileprivate static let open = Unicode.Scalar("[").value
    fileprivate static let close = Unicode.Scalar("]").value
    fileprivate static let exclamation = Unicode.Scalar("!").value
    fileprivate static let hyphen = Unicode.Scalar("-").value
}
