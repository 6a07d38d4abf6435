import Foundation
import Logging
package import PetrelKit
import PetrelSupport
import StackStormClient

/// The result of matching a line against the aliases, for a dry run.
package enum AliasExplanation: Sendable {
    /// The line runs an alias. The value of a parameter is nil if it is null.
    case matched(ref: String, format: String, parameters: [(name: String, value: String?)])
    /// The line runs a built-in verb, such as `status`.
    case verb(String)
    /// The line runs nothing, for this reason.
    case failed(String)
}

extension StackStormModuleSettings {
    /// Returns a line without the prefix of this instance, or nil if the line does not begin with it.
    package func aliasLine(of text: String) -> String? {
        if prefix.isEmpty { return text }
        let (word, rest) = text.firstWord
        return Command.key(word) == Command.key(prefix) ? rest : nil
    }

    /// Matches a line against the stored aliases, or against those of StackStorm if none are stored.
    ///
    /// - Parameter storage: The storage of the module, opened for reading.
    /// - Returns: The result, and the parsed line for the access rules.
    package func explain(
        _ line: String, storage: (any Storage)?
    ) async throws -> (alias: AliasExplanation, parsed: ParsedLine) {
        let aliases: [Alias]
        do {
            aliases = try await lastAliases(storage)
        } catch let error as StackStormError {
            let reason =
                "no aliases are stored from an earlier run, and they cannot be fetched from StackStorm: \(error.diagnosis)"
            return (.failed(reason), ParsedLine((), masked: line))
        }
        let table = AliasTable(aliases)
        let call = StackStormCall(line, in: table)
        return (explain(line, call, table), ParsedLine(call, masked: line) { call.readings })
    }

    private func explain(_ line: String, _ call: StackStormCall, _ table: AliasTable) -> AliasExplanation {
        switch call.kind {
        case .verb(let verb): return .verb(verb.verb.rawValue)
        case .alias(let match):
            return .matched(
                ref: match.alias.ref, format: match.representation,
                parameters: match.parameters.map { ($0.name, $0.value) })
        case .ambiguous(let matches):
            return .failed(
                "the line matches \(matches.map { "“\($0.representation)” of \($0.alias.ref)" }.joined(separator: " and "))"
            )
        case .unknown: return .failed("the line may match a format that only StackStorm can match")
        case .none, .empty:
            if case .one(let match) = table.disabled.match(line) {
                return .failed("“\(match.representation)” of \(match.alias.ref) is disabled in StackStorm")
            }
            let near = table.near(line).prefix(3).joined(separator: "”, “")
            return .failed("no format matches the line" + (near.isEmpty ? "" : "; similar formats: “\(near)”"))
        }
    }

    private func lastAliases(_ storage: (any Storage)?) async throws -> [Alias] {
        let kept = try await storage?.records("aliases").all() ?? []
        let silent = Logger(label: "explain") { _ in SwiftLogNoOpLogHandler() }
        if !kept.isEmpty { return kept.decoded(as: Alias.self, "alias", silent) }
        let client = try StackStormClient(client, logger: silent)
        return try await client.aliases().items
    }
}
