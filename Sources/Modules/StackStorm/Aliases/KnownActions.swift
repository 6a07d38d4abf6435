import PetrelKit
import PetrelSupport
import StackStormClient

/// The properties of actions that StackStorm has returned: secret parameters, types of parameters, and runners.
///
/// A parameter that is not known counts as secret.
struct KnownActions: Sendable {
    /// The text that replaces a secret value in logs and replies.
    static let mask = "•••"
    /// The text that replaces a secret value in StackStorm's responses.
    private static let masked: JSONValue = "********"

    private var secrets: [String: Set<String>] = [:]
    private var types: [String: [String: String]] = [:]
    private var known: [String: Set<String>] = [:]
    private var runners: [String: String] = [:]
    /// The actions of which an execution was inspected.
    private var shown: Set<String> = []

    /// Adds the parameters and the runner of an action.
    mutating func learn(_ schema: ActionSchema) {
        learn(schema.ref, schema.parameters)
        if let runner = schema.runner { runners[schema.ref] = runner }
    }

    private mutating func learn(_ action: String, _ parameters: [String: JSONValue]) {
        known[action] = Set(parameters.keys)
        secrets[action] = Set(parameters.filter { $0.value["secret"]?.bool == true }.keys)
        types[action] = parameters.compactMapValues { $0["type"]?.string }
    }

    /// Adds the parameters of an execution, which include those of the runner.
    ///
    /// - Parameter action: The reference of the action that was to run.
    mutating func learn(_ execution: Execution, of action: String) {
        shown.insert(action)
        guard let ref = execution.action?.ref, let schema = execution.action?.parameters else { return }
        learn(ref, schema)
        // The schema of an action does not contain the parameters of its runner.
        for (name, value) in execution.parameters ?? [:] where schema[name] == nil {
            known[ref, default: []].insert(name)
            if value == Self.masked { secrets[ref, default: []].insert(name) }
        }
    }

    /// Returns a possible reason why StackStorm rejected a command, for the user: StackStorm accepts only `true` and
    /// `false` for a boolean.
    func misfit(of match: AliasMatcher.Match) -> String? {
        let types = types[match.alias.actionRef] ?? [:]
        let name = match.parameters.first { parameter in
            types[parameter.name] == "boolean"
                && ["true", "false"].allSatisfy { parameter.value?.lowercased() != $0 } && parameter.value != nil
        }?.name
        return name.map { "\($0) must be true or false" }
    }

    /// Returns true if the parameters and the runner of an action are known.
    func knows(_ action: String) -> Bool { known[action] != nil && runners[action] != nil }

    /// Returns true if no execution of an action was inspected yet.
    func wantsToSee(_ action: String) -> Bool { !shown.contains(action) }

    private func isSecret(_ parameter: String, of action: String) -> Bool {
        guard known[action]?.contains(parameter) == true else { return true }
        return secrets[action]?.contains(parameter) == true
    }
}

// MARK: Templates

extension KnownActions {
    /// The runners of StackStorm that pass parameters to the action unchanged. Workflows (`orquesta`, `action-chain`)
    /// evaluate them, and any other runner may.
    private static let plainRunners: Set = [
        "announcement", "http-request", "inquirer", "local-shell-cmd", "local-shell-script", "noop", "python-script",
        "remote-shell-cmd", "remote-shell-script", "winrm-cmd", "winrm-ps-cmd", "winrm-ps-script",
    ]

    /// Returns true if StackStorm evaluates templates in the parameters of an action, or nil if its runner is unknown.
    func evaluates(_ action: String) -> Bool? { runners[action].map { !Self.plainRunners.contains($0) } }

    /// Returns the parameter of a command that contains a template, or may contain one after StackStorm has decoded it,
    /// or nil if none exists. A line that only StackStorm can parse is checked as a whole.
    func templated(_ line: String, _ match: AliasMatcher.Match) -> String? {
        let action = match.alias.actionRef
        for parameter in match.parameters {
            guard let value = parameter.value else { continue }
            if Templates.isFound(in: value, castTo: types[action]?[parameter.name]) ?? true { return parameter.name }
        }
        let isWhole = match.capture == nil || match.format.matchesMultiple
        return isWhole && Templates.isFound(in: line, castTo: nil) ?? true ? "the line" : nil
    }
}

// MARK: Secrets

extension KnownActions {
    /// Returns a line with the values of secret parameters masked. If a value does not occur literally in the line, the
    /// result is the format and the mask.
    func masked(_ line: String, _ match: AliasMatcher.Match) -> String {
        let action = match.alias.actionRef
        guard match.parameters.contains(where: { isSecret($0.name, of: action) }) else { return line }
        // A value that a later pair replaces is secret too.
        let written = match.capture?.written ?? match.parameters
        let values = written.filter { isSecret($0.name, of: action) }.compactMap(\.value).filter { !$0.isEmpty }
        return Self.masking(values, in: line) ?? "\(match.representation) \(Self.mask)"
    }

    /// Masks values in a line, or returns nil if one does not occur. If several begin at one offset, the longest is
    /// masked.
    ///
    /// It compares bytes, because a comparison of characters misses a value next to a combining scalar.
    private static func masking(_ values: [String], in line: String) -> String? {
        let bytes = Array(line.utf8)
        let wanted = Set(values.map { Array($0.utf8) })
        // The length of the longest value that begins at each offset, or 0.
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
        // A value that occurs only within a longer one was masked with it.
        let isMasked = missing.allSatisfy { part in
            values.contains { $0.utf8.count > part.count && $0.utf8.contains(part) }
        }
        return isMasked ? String(decoding: masked, as: UTF8.self) : nil
    }
}

extension [UInt8] {
    /// Calls `body` with each offset of a part, in linear time (Knuth, Morris and Pratt, 1977).
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
