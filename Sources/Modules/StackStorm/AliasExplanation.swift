import Foundation
import Logging
public import PetrelKit
import StackStormClient

/// Which alias a line would run.
public enum AliasExplanation: Sendable {
    case matched(ref: String, format: String, parameters: [(name: String, value: String?)])
    case failed(String)
}

extension StackStormModuleSettings {
    /// The part of a line that names an alias of this instance; nil where it is for somebody else.
    public func aliasLine(of text: String) -> String? {
        if prefix.isEmpty { return text }
        let word = text.prefix { !$0.isWhitespace }
        guard word.lowercased() == prefix.lowercased() else { return nil }
        return String(text[word.endIndex...].drop(while: \.isWhitespace))
    }

    /// Matches against the table of the last sync, or asks StackStorm where there is none.
    /// - Parameter storage: the module's own, opened to read.
    /// - Returns: the alias, and what the line amounts to besides, which access rules have to allow as well.
    public func explain(
        _ line: String, storage: (any Storage)?
    ) async throws -> (alias: AliasExplanation, readings: [LineReading]) {
        let aliases: [Alias]
        do {
            aliases = try await lastAliases(storage)
        } catch let error as StackStormError {
            return (.failed("no aliases are kept from an earlier run, and \(error.reply)"), [])
        }
        let table = AliasTable(aliases)
        return (explain(line, table), table.readings(of: line))
    }

    private func explain(_ line: String, _ table: AliasTable) -> AliasExplanation {
        switch table.matcher.match(line) {
        case .one(let match):
            return .matched(
                ref: match.alias.ref, format: match.representation,
                parameters: match.parameters.map { ($0.name, $0.value) })
        case .ambiguous(let matches):
            return .failed(
                "the line fits \(matches.map { "“\($0.representation)” of \($0.alias.ref)" }.joined(separator: " and "))"
            )
        case .unknown: return .failed("some formats can be matched by StackStorm only")
        case .none:
            if case .one(let match) = table.disabled.match(line) {
                return .failed("“\(match.representation)” of \(match.alias.ref) is disabled in StackStorm")
            }
            let near = table.near(line).prefix(3).joined(separator: "”, “")
            return .failed("no format takes the line" + (near.isEmpty ? "" : "; near it are “\(near)”"))
        }
    }

    private func lastAliases(_ storage: (any Storage)?) async throws -> [Alias] {
        let kept = try await storage?.records("aliases").all() ?? []
        if !kept.isEmpty { return try kept.map { try JSONDecoder().decode(Alias.self, from: Data($0.value)) } }
        let client = try StackStormClient(client, logger: Logger(label: "explain") { _ in SwiftLogNoOpLogHandler() })
        return try await client.aliases().items
    }
}
