import PetrelKit
import PetrelSupport
import StackStormClient

/// A parsed line of this instance. Access rules, the audit log and execution use the same value.
struct StackStormCall: Sendable {
    enum Kind: Sendable {
        case empty
        case alias(AliasMatcher.Match)
        /// Several formats match the line.
        case ambiguous([AliasMatcher.Match])
        /// The line may match a format that only StackStorm can match. If it does not, the line is the verb.
        case unknown(orElse: VerbCall?)
        case verb(VerbCall)
        case none
    }

    let kind: Kind
    /// The aliases against which the line was matched.
    let table: AliasTable
    /// The line, without the `key=value` pairs at its end, and these pairs.
    let stream: CommandStream
    /// The line for the audit log, with secrets masked as far as they were known when it was parsed. If no alias
    /// matches, only leading words of formats are kept, because the rest may contain secrets.
    let masked: String

    /// Parses a line.
    ///
    /// - Parameters:
    ///   - values: The answers, if the line is that of a form.
    ///   - actions: The known actions, which determine which parameters are secret.
    init(
        _ line: String, _ values: [String: String]? = nil, in table: AliasTable,
        _ actions: KnownActions = KnownActions()
    ) {
        self.table = table
        stream = CommandStream(line)
        kind = Self.kind(of: stream, values, in: table)
        masked =
            switch kind {
            case .alias(let match): actions.masked(line, match)
            case .verb(let call): call.masked
            case .empty: ""
            case .none, .ambiguous, .unknown: table.knownBeginning(of: line)
            }
    }

    private static func kind(of stream: CommandStream, _ values: [String: String]?, in table: AliasTable) -> Kind {
        let line = stream.command
        guard !line.isEmpty else { return .empty }
        return switch table.matcher.match(stream) {
        case .one(let match): .alias(match)
        case .ambiguous(let matches): .ambiguous(matches)
        case .unknown: .unknown(orElse: VerbCall(line, values))
        case .none: VerbCall(line, values).map { .verb($0) } ?? .none
        }
    }

    /// True if the text of the pairs also occurs earlier in the line, where StackStorm removes it as well.
    var isCutElsewhere: Bool { stream.isCutElsewhere }

    /// The readings of StackStorm that differ from the text of the line, for the access rules: StackStorm removes
    /// `key=value` pairs from the end, a pair replaces an earlier value, and quotation marks are removed. The same
    /// applies to answers to inquiries.
    var readings: [LineReading] {
        let line = stream.command
        switch kind {
        case .verb(let call): return call.readings
        // These lines run nothing.
        case .none, .ambiguous, .empty: return []
        // StackStorm matches these lines later, and those with pairs are rejected then.
        case .unknown(orElse: let call):
            let unquoted = line.unicodeScalars.filter { $0 != "\"" && $0 != "'" }
            return (call?.readings ?? []) + [.text(String(String.UnicodeScalarView(unquoted)))]
        case .alias(let match):
            guard Self.isRewritten(line) else { return [] }
            guard let reading = match.capture?.reading else { return [.unforeseeable] }
            return [.text(reading.whole), .part(reading.part)]
        }
    }

    /// Returns true if a line contains `=`, a quotation mark or a brace. StackStorm does not change any other line.
    private static func isRewritten(_ line: String) -> Bool {
        line.utf8.contains { [0x3D, 0x22, 0x27, 0x7B].contains($0) }
    }
}
