import PetrelKit
import StackStormClient

/// Which parameters of which action are secret, as StackStorm last said. What it has not spoken of counts as secret.
struct SecretParameters: Sendable {
    static let mask = "•••"
    /// What StackStorm shows in their place.
    private static let masked: JSONValue = "********"

    private var secrets: [String: Set<String>] = [:]
    private var known: [String: Set<String>] = [:]
    /// Actions of which an execution was seen.
    private var shown: Set<String> = []

    mutating func learn(_ action: String, _ parameters: [String: JSONValue]) {
        known[action] = Set(parameters.keys)
        secrets[action] = Set(parameters.filter { $0.value["secret"]?.bool == true }.keys)
    }

    /// - Parameter action: what was asked for.
    mutating func learn(_ execution: Execution, of action: String) {
        shown.insert(action)
        guard let ref = execution.action?.ref, let schema = execution.action?.parameters else { return }
        learn(ref, schema)
        // Those of the runner are in no schema of the action.
        for (name, value) in execution.parameters ?? [:] where schema[name] == nil {
            known[ref, default: []].insert(name)
            if value == Self.masked { secrets[ref, default: []].insert(name) }
        }
    }

    func knows(_ action: String) -> Bool { known[action] != nil }

    /// Whether an execution of the action may still tell something new.
    func wantsToSee(_ action: String) -> Bool { !shown.contains(action) }

    private func isSecret(_ parameter: String, of action: String) -> Bool {
        guard known[action]?.contains(parameter) == true else { return true }
        return secrets[action]?.contains(parameter) == true
    }

    /// A line with the values of secret parameters masked. Where a value is not found as it was written, only the
    /// format is left.
    func masked(_ line: String, _ match: AliasMatcher.Match) -> String {
        let action = match.alias.actionRef
        guard match.parameters.contains(where: { isSecret($0.name, of: action) }) else { return line }
        // A value that a later one replaces is no less secret.
        let written = match.compiled?.written(in: CommandStream(line)) ?? match.parameters
        let values = written.filter { isSecret($0.name, of: action) }.compactMap(\.value).filter { !$0.isEmpty }
        var line = line
        // The longest first: one may be a part of another.
        for value in Set(values).sorted(by: { $0.utf8.count > $1.utf8.count }) {
            guard let masked = Self.masking(value, in: line) else { return "\(match.representation) \(Self.mask)" }
            line = masked
        }
        return line
    }

    /// Byte by byte, so that nothing that joins a value to what stands beside it hides it; nil where it is not there.
    private static func masking(_ value: String, in line: String) -> String? {
        let (value, bytes) = (Array(value.utf8), Array(line.utf8))
        var masked: [UInt8] = []
        var place = 0
        var isThere = false
        while place < bytes.count {
            if bytes[place] == value[0], bytes[place...].starts(with: value) {
                masked += mask.utf8
                place += value.count
                isThere = true
            } else {
                masked.append(bytes[place])
                place += 1
            }
        }
        return isThere ? String(decoding: masked, as: UTF8.self) : nil
    }
}

extension StackStormModule {
    /// A line of ours as the audit may keep it. Of one that is no command of StackStorm's, only words that aliases begin
    /// with are kept: nobody knows what is secret in the rest.
    func masked(_ line: String) -> String {
        guard let table = table.value else { return line.isEmpty ? "" : "…" }
        switch table.matcher.match(line) {
        case .one(let match): return secrets.value.masked(line, match)
        case .none where VerbCall(line) != nil: return VerbCall(line)?.masked(line) ?? line
        case .none, .ambiguous, .unknown: return table.knownBeginning(of: line)
        }
    }
}
