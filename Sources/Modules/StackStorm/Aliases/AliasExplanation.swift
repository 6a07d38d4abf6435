import Foundation
import Logging
package import PetrelKit
import PetrelSupport
import StackStormClient

/// Which alias a line would run.
package enum AliasExplanation: Sendable {
    case matched(ref: String, format: String, parameters: [(name: String, value: String?)])
    /// A verb of Petrel's own, such as `status`.
    case verb(String)
    case failed(String)
}

extension StackStormModuleSettings {
    /// The part of a line that names an alias of this instance; nil where it is for somebody else.
    package func aliasLine(of text: String) -> String? {
        if prefix.isEmpty { return text }
        let (word, rest) = text.firstWord
        return Command.key(word) == Command.key(prefix) ? rest : nil
    }

    /// Matches against the table of the last sync, or asks StackStorm where there is none.
    /// - Parameter storage: the module's own, opened to read.
    /// - Returns: the alias, and what the line was read as, which access rules judge.
    package func explain(
        _ line: String, storage: (any Storage)?
    ) async throws -> (alias: AliasExplanation, parsed: ParsedLine) {
        let aliases: [Alias]
        do {
            aliases = try await lastAliases(storage)
        } catch let error as StackStormError {
            return (
                .failed("no aliases are kept from an earlier run, and \(error.reply)"), ParsedLine((), masked: line)
            )
        }
        let table = AliasTable(aliases)
        let call = StackStormCall(line, in: table)
        return (explain(line, call, table), ParsedLine(call, masked: line) { call.readings(of: line) })
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
                "the line fits \(matches.map { "“\($0.representation)” of \($0.alias.ref)" }.joined(separator: " and "))"
            )
        case .unknown: return .failed("some formats can be matched by StackStorm only")
        case .none, .empty:
            if case .one(let match) = table.disabled.match(line) {
                return .failed("“\(match.representation)” of \(match.alias.ref) is disabled in StackStorm")
            }
            let near = table.near(line).prefix(3).joined(separator: "”, “")
            return .failed("no format takes the line" + (near.isEmpty ? "" : "; near it are “\(near)”"))
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
