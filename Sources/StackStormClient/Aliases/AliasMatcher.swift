/// A matcher that finds the action alias of a command as StackStorm does (`POST /actionalias/match`), without a
/// request.
package struct AliasMatcher: Sendable {
    /// The match of a command.
    package struct Match: Sendable, Equatable {
        /// The alias.
        package var alias: Alias
        /// The format of the alias that matches.
        package var format: Alias.Format
        /// The representation that matches, for the `format` of `POST /aliasexecution`.
        package var representation: String
        /// The parameters of the command.
        package var parameters: [AliasFormat.Parameter]
        /// The command and the places of the values in it, or nil if only StackStorm can match the representation.
        package var capture: AliasCapture?

        /// Creates a match.
        package init(
            alias: Alias, format: Alias.Format, representation: String, parameters: [AliasFormat.Parameter],
            capture: AliasCapture? = nil
        ) {
            self.alias = alias
            self.format = format
            self.representation = representation
            self.parameters = parameters
            self.capture = capture
        }

        /// Compares two matches. The places of the values are ignored, because they follow from the command.
        package static func == (left: Match, right: Match) -> Bool {
            left.alias == right.alias && left.format == right.format && left.representation == right.representation
                && left.parameters == right.parameters
        }
    }

    /// The result of matching a command.
    package enum Outcome: Sendable, Equatable {
        /// No format matches.
        case none
        /// One format matches.
        case one(Match)
        /// Several formats match. StackStorm rejects the command.
        case ambiguous([Match])
        /// No format matches, but there are formats that only StackStorm can match.
        case unknown
    }

    /// A format that cannot be matched here.
    package struct Problem: Sendable, Equatable, CustomStringConvertible {
        /// The reference of the alias.
        package var ref: String
        /// The format.
        package var format: String
        /// The reason, as the predicate of a sentence.
        package var reason: String

        /// The message, which starts in lower case and has no full stop.
        package var description: String { "the format “\(format)” of \(ref) \(reason)" }
    }

    private struct Candidate: Sendable {
        var alias: Int
        var format: Alias.Format
        var compiled: AliasFormat
    }

    /// All aliases, including disabled ones.
    package let aliases: [Alias]
    /// The formats that cannot be matched here.
    package private(set) var problems: [Problem] = []
    private var candidates: [Candidate] = []
    private var byPrefix: [UInt64: [Int]] = [:]
    private var lengths: [Bool] = [false]
    private var needsServer = false

    /// Creates a matcher and compiles the formats.
    ///
    /// - Parameters:
    ///   - aliases: All aliases. Disabled ones do not match.
    ///   - last: An earlier matcher, whose compiled formats are reused.
    ///   - tried: A closure that is called each time a command is matched against a format, for tests.
    package init(
        _ aliases: [Alias] = [], reusing last: AliasMatcher? = nil, tried: AliasFormat.Observer? = nil
    ) {
        self.aliases = aliases
        let compiled = (last?.candidates ?? []).map { ($0.compiled.source, $0.compiled) }
        let known = Dictionary(compiled) { first, _ in first }
        for (index, alias) in aliases.enumerated() where alias.enabled {
            for format in alias.formats {
                for pattern in format.patterns { add(pattern, of: format, index, known[pattern], tried) }
            }
        }
    }

    private mutating func add(
        _ pattern: String, of format: Alias.Format, _ alias: Int, _ known: AliasFormat?,
        _ tried: AliasFormat.Observer?
    ) {
        do {
            let compiled = if let known { known } else { try AliasFormat(pattern, tried: tried) }
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

    /// Finds the format that matches a command.
    ///
    /// - Parameter line: The text of the command, without the prefix of the bot.
    package func match(_ line: String) -> Outcome { match(CommandStream(line)) }

    /// Finds the format that matches a parsed command.
    package func match(_ stream: CommandStream) -> Outcome {
        var memory = Regex.Memory()
        var matches: [Match] = []
        for index in candidates(for: stream.scalars) {
            let candidate = candidates[index]
            guard let capture = try? candidate.compiled.match(stream, memory: &memory) else { continue }
            matches.append(
                Match(
                    alias: aliases[candidate.alias], format: candidate.format,
                    representation: candidate.compiled.source, parameters: capture.parameters, capture: capture))
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

    /// Returns the indices of the formats whose literal prefix the text has, in the order of the aliases.
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

    /// An FNV-1a hash of scalars. A collision causes an unnecessary trial, but never a wrong match.
    private struct PrefixHash {
        private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

        mutating func add(_ scalar: UInt32) { value = (value ^ UInt64(scalar)) &* 0x100_0000_01B3 }
    }
}
