import PetrelKit
import StackStormClient

/// What is known of actions, as StackStorm last said: which parameters are secret, of which types they are, and whether
/// the action is a workflow. A parameter that it has not spoken of counts as secret.
struct KnownActions: Sendable {
    static let mask = "•••"
    /// What StackStorm shows in their place.
    private static let masked: JSONValue = "********"

    private var secrets: [String: Set<String>] = [:]
    private var types: [String: [String: String]] = [:]
    private var known: [String: Set<String>] = [:]
    private var runners: [String: String] = [:]
    /// Actions of which an execution was seen.
    private var shown: Set<String> = []

    mutating func learn(_ schema: ActionSchema) {
        learn(schema.ref, schema.parameters)
        if let runner = schema.runner { runners[schema.ref] = runner }
    }

    private mutating func learn(_ action: String, _ parameters: [String: JSONValue]) {
        known[action] = Set(parameters.keys)
        secrets[action] = Set(parameters.filter { $0.value["secret"]?.bool == true }.keys)
        types[action] = parameters.compactMapValues { $0["type"]?.string }
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

    /// Why StackStorm may have refused a command, in plain words: of a boolean it takes `true` and `false` only.
    func misfit(of match: AliasMatcher.Match) -> String? {
        let types = types[match.alias.actionRef] ?? [:]
        let name = match.parameters.first { parameter in
            types[parameter.name] == "boolean"
                && ["true", "false"].allSatisfy { parameter.value?.lowercased() != $0 } && parameter.value != nil
        }?.name
        return name.map { "\($0) must be true or false" }
    }

    func knows(_ action: String) -> Bool { known[action] != nil && runners[action] != nil }

    /// Whether an execution of the action may still tell something new.
    func wantsToSee(_ action: String) -> Bool { !shown.contains(action) }

    private func isSecret(_ parameter: String, of action: String) -> Bool {
        guard known[action]?.contains(parameter) == true else { return true }
        return secrets[action]?.contains(parameter) == true
    }
}

// MARK: Templates

extension KnownActions {
    /// The runners of StackStorm's own whose actions get their parameters as they are. Workflows (`orquesta`,
    /// `action-chain`) evaluate theirs, and any other runner may.
    private static let plainRunners: Set = [
        "announcement", "http-request", "inquirer", "local-shell-cmd", "local-shell-script", "noop", "python-script",
        "remote-shell-cmd", "remote-shell-script", "winrm-cmd", "winrm-ps-cmd", "winrm-ps-script",
    ]

    /// Whether StackStorm evaluates what an action is given; nil where its runner is not known.
    func evaluates(_ action: String) -> Bool? { runners[action].map { !Self.plainRunners.contains($0) } }

    /// The parameter of a command that holds a template, or may hold one once StackStorm has decoded it; nil where none
    /// does. What only StackStorm can take apart is looked at as a whole.
    func templated(_ line: String, _ match: AliasMatcher.Match) -> String? {
        let action = match.alias.actionRef
        for parameter in match.parameters {
            guard let value = parameter.value else { continue }
            if Templates.isFound(in: value, castTo: types[action]?[parameter.name]) ?? true { return parameter.name }
        }
        let isWhole = match.compiled == nil || match.format.matchesMultiple
        return isWhole && Templates.isFound(in: line, castTo: nil) ?? true ? "the line" : nil
    }
}

// MARK: Secrets

extension KnownActions {
    /// A line with the values of secret parameters masked. Where a value is not found as it was written, only the
    /// format is left.
    func masked(_ line: String, _ match: AliasMatcher.Match) -> String {
        let action = match.alias.actionRef
        guard match.parameters.contains(where: { isSecret($0.name, of: action) }) else { return line }
        // A value that a later one replaces is no less secret.
        let written = match.compiled?.written(in: CommandStream(line)) ?? match.parameters
        let values = written.filter { isSecret($0.name, of: action) }.compactMap(\.value).filter { !$0.isEmpty }
        return Self.masking(values, in: line) ?? "\(match.representation) \(Self.mask)"
    }

    /// Byte by byte, so that nothing that joins a value to what stands beside it hides it, and in one pass, the longest
    /// value first where several begin at one place; nil where one is not there.
    private static func masking(_ values: [String], in line: String) -> String? {
        let bytes = Array(line.utf8)
        // By their first bytes, so that a place of the line is compared with few of them.
        var wanted: [UInt8: [[UInt8]]] = [:]
        for value in Set(values.map { Array($0.utf8) }).sorted(by: { $0.count > $1.count }) {
            wanted[value[0], default: []].append(value)
        }
        var missing = Set(values.map { Array($0.utf8) })
        var masked: [UInt8] = []
        masked.reserveCapacity(bytes.count)
        var place = 0
        while place < bytes.count {
            if let value = wanted[bytes[place]]?.first(where: { bytes[place...].starts(with: $0) }) {
                masked += mask.utf8
                place += value.count
                missing.remove(value)
            } else {
                masked.append(bytes[place])
                place += 1
            }
        }
        // One that stands only within a longer one was masked with it.
        let isMasked = missing.allSatisfy { part in
            values.contains { $0.utf8.count > part.count && $0.utf8.contains(part) }
        }
        return isMasked ? String(decoding: masked, as: UTF8.self) : nil
    }
}
