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

    var kind: Kind
    /// The aliases against which the line was matched.
    var table: AliasTable

    /// Parses a line.
    ///
    /// - Parameter values: The answers, if the line is that of a form.
    init(_ line: String, _ values: [String: String]? = nil, in table: AliasTable) {
        self.table = table
        guard !line.isEmpty else {
            kind = .empty
            return
        }
        switch table.matcher.match(line) {
        case .one(let match): kind = .alias(match)
        case .ambiguous(let matches): kind = .ambiguous(matches)
        case .unknown: kind = .unknown(orElse: VerbCall(line, values))
        case .none: kind = VerbCall(line, values).map { .verb($0) } ?? .none
        }
    }

    /// Returns the readings of StackStorm that differ from the text of a line, for the access rules: StackStorm removes
    /// `key=value` pairs from the end, a pair replaces an earlier value, and quotation marks are removed. The same
    /// applies to answers to inquiries.
    func readings(of line: String) -> [LineReading] {
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
            guard let reading = match.compiled?.reading(of: CommandStream(line)) else { return [.unforeseeable] }
            return [.text(reading.whole), .part(reading.part)]
        }
    }

    /// Returns true if a line contains `=`, a quotation mark or a brace. StackStorm does not change any other line.
    private static func isRewritten(_ line: String) -> Bool {
        line.utf8.contains { [0x3D, 0x22, 0x27, 0x7B].contains($0) }
    }

    /// Returns the line for the audit log, with secrets masked. If no alias matches, only leading words of formats are
    /// kept, because the rest may contain secrets.
    func masked(_ line: String, _ actions: KnownActions) -> String {
        switch kind {
        case .alias(let match): actions.masked(line, match)
        case .verb(let call): call.masked
        case .empty: ""
        case .none, .ambiguous, .unknown: table.knownBeginning(of: line)
        }
    }
}
