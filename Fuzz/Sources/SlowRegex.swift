@testable import StackStormClient

/// A backtracking matcher for the same expressions, which tries all alternatives in order and without memoisation.
struct SlowRegex {
    enum Answer {
        case decided([Int]?)
        /// The matcher exceeded its step limit.
        case tooSlow
    }

    private struct TooSlow: Error {}

    private typealias Groups = [Int]
    private typealias Rest = (_ position: Int, _ groups: Groups) throws -> Groups?

    private final class Budget {
        var steps = 100_000
    }

    private let parsed: RegexParser.Result
    private let text: [UInt32]
    private let budget = Budget()

    init(_ parsed: RegexParser.Result, _ text: [UInt32]) {
        self.parsed = parsed
        self.text = text
    }

    func firstMatch() -> Answer {
        do {
            for start in 0...text.count {
                let groups = Groups(repeating: -1, count: parsed.names.count * 2)
                if let found = try match(.group(0, parsed.node), start, groups, { $1 }) { return .decided(found) }
            }
            return .decided(nil)
        } catch {
            return .tooSlow
        }
    }

    private func match(_ node: RegexNode, _ at: Int, _ groups: Groups, _ rest: Rest) throws -> Groups? {
        budget.steps -= 1
        guard budget.steps > 0 else { throw TooSlow() }
        switch node {
        case .character(let value): return try one(at, groups, rest) { $0 == value }
        case .any: return try one(at, groups, rest) { _ in true }
        case .set(let set): return try one(at, groups, rest) { set.contains($0) }
        case .assertion(let assertion): return holds(assertion, at) ? try rest(at, groups) : nil
        case .sequence(let items): return try sequence(items[...], at, groups, rest)
        case .alternatives(let options):
            for option in options { if let found = try match(option, at, groups, rest) { return found } }
            return nil
        case .group(let number, let inner):
            var begun = groups
            begun[2 * number] = at
            return try match(inner, at, begun) { end, groups in
                var ended = groups
                ended[2 * number + 1] = end
                return try rest(end, ended)
            }
        case .loop(let inner, let minimum, let maximum, let isGreedy):
            return try loop(inner, minimum, maximum, isGreedy, at, groups, rest)
        }
    }

    private func one(
        _ at: Int, _ groups: Groups, _ rest: Rest, _ isIn: (UInt32) -> Bool
    ) throws -> Groups? {
        at < text.count && isIn(text[at]) ? try rest(at + 1, groups) : nil
    }

    private func sequence(
        _ items: ArraySlice<RegexNode>, _ at: Int, _ groups: Groups, _ rest: Rest
    ) throws -> Groups? {
        guard let first = items.first else { return try rest(at, groups) }
        return try match(first, at, groups) { try sequence(items.dropFirst(), $0, $1, rest) }
    }

    private func loop(
        _ inner: RegexNode, _ minimum: Int, _ maximum: Int?, _ isGreedy: Bool, _ at: Int, _ groups: Groups, _ rest: Rest
    ) throws -> Groups? {
        func again() throws -> Groups? {
            if maximum == 0 { return nil }
            return try match(inner, at, groups) { end, groups in
                // An iteration that matched nothing counts, but ends the loop.
                if end == at, minimum <= 0 { return try rest(end, groups) }
                return try loop(inner, max(minimum - 1, 0), maximum.map { $0 - 1 }, isGreedy, end, groups, rest)
            }
        }
        if minimum > 0 { return try again() }
        if isGreedy { return try again() ?? rest(at, groups) }
        return try rest(at, groups) ?? again()
    }

    private func holds(_ assertion: RegexNode.Assertion, _ at: Int) -> Bool {
        let before = at > 0 && ScalarSet.isWord(text[at - 1])
        let after = at < text.count && ScalarSet.isWord(text[at])
        return switch assertion {
        case .begin: at == 0
        case .end: at == text.count || at == text.count - 1 && text[at] == 10
        case .absoluteEnd: at == text.count
        case .wordBoundary: before != after
        case .noWordBoundary: before == after
        case .ahead(let set, let isIn): (at < text.count && set.contains(text[at])) == isIn
        case .behind(let set, let isIn): (at > 0 && set.contains(text[at - 1])) == isIn
        }
    }
}
