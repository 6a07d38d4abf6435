import PetrelKit
import PetrelSupport
import StackStormClient

/// A line of ours, read once: what is judged, kept and run.
struct StackStormCall: Sendable {
    enum Kind: Sendable {
        case empty
        case alias(AliasMatcher.Match)
        /// Several formats take the line.
        case ambiguous([AliasMatcher.Match])
        /// Some format can be matched by StackStorm only; the verb is meant where it matches none.
        case unknown(orElse: VerbCall?)
        case verb(VerbCall)
        case none
    }

    var kind: Kind
    /// The aliases by which it was read.
    var table: AliasTable

    /// - Parameter values: the answers of a form whose line this is.
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

    /// What StackStorm makes of a line where that is not what people read in it: it cuts `key=value` pairs off the end, a
    /// pair replaces a value that was typed before, and quotes fall away. The same goes for answers to inquiries.
    func readings(of line: String) -> [LineReading] {
        switch kind {
        case .verb(let call): return call.readings
        // Nothing runs.
        case .none, .ambiguous, .empty: return []
        // Where StackStorm alone knows the format, it is asked later, and takes no pairs from us.
        case .unknown(orElse: let call):
            let unquoted = line.unicodeScalars.filter { $0 != "\"" && $0 != "'" }
            return (call?.readings ?? []) + [.text(String(String.UnicodeScalarView(unquoted)))]
        case .alias(let match):
            guard Self.isRewritten(line) else { return [] }
            guard let reading = match.compiled?.reading(of: CommandStream(line)) else { return [.unforeseeable] }
            return [.text(reading.whole), .part(reading.part)]
        }
    }

    /// Holds `=`, a quote or a brace: without them a line is read as it stands.
    private static func isRewritten(_ line: String) -> Bool {
        line.utf8.contains { [0x3D, 0x22, 0x27, 0x7B].contains($0) }
    }

    /// The line as the audit may keep it. Of one that is no command of StackStorm's, only words that aliases begin with
    /// are kept: nobody knows what is secret in the rest.
    func masked(_ line: String, _ actions: KnownActions) -> String {
        switch kind {
        case .alias(let match): actions.masked(line, match)
        case .verb(let call): call.masked
        case .empty: ""
        case .none, .ambiguous, .unknown: table.knownBeginning(of: line)
        }
    }
}
