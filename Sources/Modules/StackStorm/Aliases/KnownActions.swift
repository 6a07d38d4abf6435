import PetrelKit
import PetrelSupport
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

    /// Byte by byte, so that nothing that joins a value to what stands beside it hides it, the longest value first where
    /// several begin at one place; nil where one is not there.
    private static func masking(_ values: [String], in line: String) -> String? {
        let bytes = Array(line.utf8)
        let wanted = Set(values.map { Array($0.utf8) })
        // Of the values that begin at each place.
        var longest = [Int](repeating: 0, count: bytes.count)
        for value in wanted {
            bytes.forEachPlace(of: value) { longest[$0] = max(longest[$0], value.count) }
        }
        var missing = wanted
        var masked: [UInt8] = []
        masked.reserveCapacity(bytes.count)
        var place = 0
        while place < bytes.count {
            let count = longest[place]
            if count > 0 {
                masked += mask.utf8
                missing.remove(Array(bytes[place..<place + count]))
                place += count
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

extension [UInt8] {
    /// Calls `body` with each place where a part begins. Linear, whatever the bytes are (Knuth, Morris, Pratt 1977).
    fileprivate func forEachPlace(of part: [UInt8], _ body: (Int) -> Void) {
        var fallback = [0]
        for index in part.indices.dropFirst() {
            var length = fallback[index - 1]
            while length > 0, part[length] != part[index] { length = fallback[length - 1] }
            fallback.append(part[length] == part[index] ? length + 1 : 0)
        }
        var length = 0
        for (place, byte) in enumerated() {
            while length > 0, part[length] != byte { length = fallback[length - 1] }
            if part[length] == byte { length += 1 }
            guard length == part.count else { continue }
            body(place + 1 - length)
            length = fallback[length - 1]
        }
    }
}
