/// Finds the alias that a line runs, as StackStorm would, without asking it. A value: built once for each table.
package struct AliasMatcher: Sendable {
    package struct Match: Sendable, Equatable {
        package var alias: Alias
        package var format: Alias.Format
        /// What `POST /aliasexecution` wants as `format`.
        package var representation: String
        package var parameters: [AliasFormat.Parameter]
        /// The representation, ready to match; nil where only StackStorm can match it.
        package var compiled: AliasFormat?

        package init(
            alias: Alias, format: Alias.Format, representation: String, parameters: [AliasFormat.Parameter],
            compiled: AliasFormat? = nil
        ) {
            self.alias = alias
            self.format = format
            self.representation = representation
            self.parameters = parameters
            self.compiled = compiled
        }

        /// What is compiled follows from the representation.
        package static func == (left: Match, right: Match) -> Bool {
            left.alias == right.alias && left.format == right.format && left.representation == right.representation
                && left.parameters == right.parameters
        }
    }

    package enum Outcome: Sendable, Equatable {
        case none
        case one(Match)
        /// Several formats take the line; StackStorm refuses it.
        case ambiguous([Match])
        /// No format takes it here, but some can be matched by StackStorm only.
        case unknown
    }

    /// A format that takes no part, and why.
    package struct Problem: Sendable, Equatable, CustomStringConvertible {
        package var ref: String
        package var format: String
        package var reason: String

        package var description: String { "the format “\(format)” of \(ref) \(reason)" }
    }

    private struct Candidate: Sendable {
        var alias: Int
        var format: Alias.Format
        var compiled: AliasFormat
    }

    package let aliases: [Alias]
    package private(set) var problems: [Problem] = []
    private var candidates: [Candidate] = []
    private var byPrefix: [UInt64: [Int]] = [:]
    private var lengths: [Bool] = [false]
    private var needsServer = false

    /// - Parameters:
    ///   - aliases: all of them; those that are disabled do not match.
    ///   - last: an earlier matcher: what it has compiled is not compiled again.
    package init(_ aliases: [Alias] = [], reusing last: AliasMatcher? = nil) {
        self.aliases = aliases
        let compiled = (last?.candidates ?? []).map { ($0.compiled.source, $0.compiled) }
        let known = Dictionary(compiled) { first, _ in first }
        for (index, alias) in aliases.enumerated() where alias.enabled {
            for format in alias.formats {
                for pattern in format.patterns { add(pattern, of: format, index, known[pattern]) }
            }
        }
    }

    private mutating func add(
        _ pattern: String, of format: Alias.Format, _ alias: Int, _ known: AliasFormat?
    ) {
        do {
            let compiled = if let known { known } else { try AliasFormat(pattern) }
            let length = compiled.prefix.count
            while lengths.count <= length { lengths.append(false) }
            lengths[length] = true
            byPrefix[compiled.prefix.reduce(into: PrefixHash()) { $0.add($1) }.value, default: []].append(
                candidates.count)
            candidates.append(Candidate(alias: alias, format: format, compiled: compiled))
        } catch {
            if case .unsupported = error { needsServer = true }
            problems.append(Problem(ref: aliases[alias].ref, format: pattern, reason: "\(error)"))
        }
    }

    /// - Parameter line: the text after StackStorm's prefix, as typed.
    package func match(_ line: String) -> Outcome { match(CommandStream(line)) }

    package func match(_ stream: CommandStream) -> Outcome {
        var memory = Regex.Memory()
        var matches: [Match] = []
        for index in candidates(for: stream.scalars) {
            let candidate = candidates[index]
            guard let parameters = try? candidate.compiled.parameters(of: stream, memory: &memory) else { continue }
            matches.append(
                Match(
                    alias: aliases[candidate.alias], format: candidate.format,
                    representation: candidate.compiled.source, parameters: parameters, compiled: candidate.compiled))
        }
        for isMultiple in [false, true] {
            let pass = matches.filter { match in
                match.alias.formats.contains { $0.matchesMultiple == isMultiple }
            }
            if pass.count == 1 { return .one(pass[0]) }
            if pass.count > 1 { return .ambiguous(pass) }
        }
        return needsServer ? .unknown : .none
    }

    /// The formats whose fixed beginning the text has, in the order of the aliases.
    private func candidates(for scalars: [UInt32]) -> [Int] {
        var found = byPrefix[PrefixHash().value] ?? []
        var hash = PrefixHash()
        for (index, value) in scalars.drop(while: ScalarSet.isSpace).enumerated() {
            let length = index + 1
            guard length < lengths.count else { break }
            hash.add(value)
            if lengths[length], let more = byPrefix[hash.value] { found += more }
        }
        return found.sorted()
    }

    /// FNV-1a over scalars. A collision costs one more trial, never a wrong match.
    private struct PrefixHash {
        private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

        mutating func add(_ scalar: UInt32) { value = (value ^ UInt64(scalar)) &* 0x100_0000_01B3 }
    }
}
