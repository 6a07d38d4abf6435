/// The search for similar texts, for "Did you mean" suggestions.
public enum Nearness {
    /// Returns the candidates that are most similar to a text, without regard to case.
    ///
    /// A candidate is similar if the edit distance is at most a third of the length of the text, at least 1 and at most
    /// 5.
    ///
    /// - Parameters:
    ///   - text: A word or a line. A text of more than 200 characters has no similar candidates.
    ///   - candidates: The texts to compare with.
    ///   - limit: The maximum number of results.
    /// - Returns: The similar candidates, nearest first; candidates with the same distance keep their order.
    public static func nearest(to text: String, among candidates: some Sequence<String>, limit: Int = 3) -> [String] {
        let wanted = Array(text.lowercased().unicodeScalars)
        guard !wanted.isEmpty, wanted.count <= 200 else { return [] }
        let allowed = max(1, min(wanted.count / 3, 5))
        var seen: Set<String> = []
        var found: [(distance: Int, candidate: String)] = []
        for candidate in candidates where seen.insert(candidate).inserted {
            let other = Array(candidate.lowercased().unicodeScalars)
            guard abs(other.count - wanted.count) <= allowed else { continue }
            let distance = distance(wanted, other, atMost: allowed)
            if distance <= allowed { found.append((distance, candidate)) }
        }
        return found.enumerated()
            .sorted { ($0.element.distance, $0.offset) < ($1.element.distance, $1.offset) }
            .prefix(limit).map(\.element.candidate)
    }

    /// Returns the optimal string alignment distance: an insertion, a deletion, a replacement and a swap of neighbours
    /// cost one each. Returns `limit + 1` as soon as the distance must exceed the limit.
    static func distance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar], atMost limit: Int) -> Int {
        var before = [Int](repeating: 0, count: b.count + 1)
        var previous = Array(0...b.count)
        var current = previous
        for i in 0..<a.count {
            current[0] = i + 1
            var best = current[0]
            for j in 0..<b.count {
                var cost = min(previous[j + 1] + 1, current[j] + 1, previous[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, before[j - 1] + 1) }
                current[j + 1] = cost
                best = min(best, cost)
            }
            if best > limit { return limit + 1 }
            (before, previous, current) = (previous, current, before)
        }
        return previous[b.count]
    }
}
