import AWSClient
import PetrelSupport

/// The conditions that an instance must meet.
struct InfraQuery: Sendable, Hashable {
    private static let mostTerms = 10

    /// The conditions, all of which must be met.
    let terms: [InfraTerm]
    /// The terms that ``searches`` contain.
    private let searched: [InfraTerm]
    /// The terms that ``searches`` do not contain, which are checked in the answers of EC2.
    let checked: [InfraTerm]

    /// Parses the words of a line. A value with spaces is in double quotes. Throws ``QueryProblem``.
    init(_ text: String) throws(QueryProblem) {
        var terms: [InfraTerm] = []
        let words = try Self.words(text)
        if words.count == 1, ["help", "--help", "-h"].contains(where: { words[0].isKeyword($0) }) {
            throw QueryProblem(
                "A query finds EC2 instances. (To search for the name \(words[0]), write \(InfraTerm.name(words[0]).typed).)"
            )
        }
        for word in words {
            let term = try InfraTerm(word)
            if !terms.contains(term) { terms.append(term) }
        }
        guard !terms.isEmpty else { throw QueryProblem("The query is empty.") }
        guard terms.count <= Self.mostTerms else {
            throw QueryProblem("The query has more than \(Self.mostTerms) words.")
        }
        guard !terms.allSatisfy(\.isOnlyFilter) else {
            throw QueryProblem(
                "“\(terms[0].typed)” narrows a search: add an ID, an address, a name, a tag or an image.")
        }
        let names = terms.compactMap { term in
            if case .name(let name) = term, !Wildcard.isPattern(name) { name } else { nil as String? }
        }
        guard names.count <= 1 else {
            throw QueryProblem(
                "An instance has only one name, and all words must match: write \(InfraTerm.name("*\(names[0])*").typed) "
                    + "for a part of it, or put a name with spaces in double quotes.")
        }
        self.terms = terms
        let chosen = Self.chosen(terms)
        searched = terms.indices.filter { chosen.contains($0) }.map { terms[$0] }
        checked = terms.indices.filter { !chosen.contains($0) && !terms[$0].filters.isEmpty }.map { terms[$0] }
    }

    /// The query as it can be typed, the same for queries that are equal.
    var typed: String { terms.map(\.typed).joined(separator: " ") }

    private static func words(_ text: String) throws(QueryProblem) -> [String] {
        var words: [String] = []
        var word = String.UnicodeScalarView()
        var isQuoted = false
        for scalar in text.unicodeScalars {
            if scalar == "\"" {
                isQuoted.toggle()
            } else if scalar.isSeparator, !isQuoted {
                if !word.isEmpty { words.append(String(word)) }
                word = String.UnicodeScalarView()
            } else if !scalar.isInvisible, !scalar.isTreacherous {
                word.append(scalar)
            }
        }
        guard !isQuoted else { throw QueryProblem("A quotation mark is missing.") }
        if !word.isEmpty { words.append(String(word)) }
        return words
    }
}

extension InfraQuery {
    /// The searches that together find the instances, as filters of EC2: an address can be in several properties, and
    /// EC2 cannot search for one of several filters.
    var searches: [[EC2.Filter]] {
        searched.reduce([[]]) { alternatives, term in
            alternatives.flatMap { chosen in term.filters.map { chosen + [$0] } }
        }
    }

    /// Returns the indices of the terms to search for. EC2 accepts each filter once; and of the terms with several
    /// alternatives, one is enough, because each alternative is a call for each region.
    private static func chosen(_ terms: [InfraTerm]) -> Set<Int> {
        let counts = terms.map(\.filters.count)
        var used: Set<String> = []
        var chosen: Set<Int> = []
        for index in terms.indices.sorted(by: { (counts[$0], $0) < (counts[$1], $1) }) {
            let names = terms[index].filters.map(\.name)
            guard !names.isEmpty, used.isDisjoint(with: names) else { continue }
            if names.count > 1, chosen.contains(where: { terms[$0].isID || counts[$0] > 1 }) { continue }
            used.formUnion(names)
            chosen.insert(index)
        }
        return chosen
    }

    /// Returns true if an instance meets the conditions that ``searches`` do not contain.
    func matches(_ instance: Instance) -> Bool { checked.allSatisfy { $0.matches(instance) } }
}
