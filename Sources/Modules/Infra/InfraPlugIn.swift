import AWSClient
package import PetrelKit
import PetrelSupport

/// The plug-in for the section `infra`.
package struct InfraPlugIn: ModulePlugIn {
    package static let section: String? = "infra"

    private let settings: InfraSettings?

    /// Reads the section.
    package init(_ sections: [SettingsSection]) {
        settings = sections.first.map { InfraSettings($0) }
        for section in sections.dropFirst() { section.problem("accounts", "there can be only one section infra") }
    }

    package var outlines: [ModuleOutline] {
        guard let settings else { return [] }
        return [
            ModuleOutline(
                "infra", commands: InfraModule.names,
                exposure: "infra search in \(InfraAnswer.count(settings.accounts.count, "account")) of AWS")
        ]
    }

    package func makeModules(_ context: ModuleContext) throws -> [any BotModule] {
        try settings.map { [try InfraModule($0, host: context.host(for: "infra"))] } ?? []
    }
}

extension InfraPlugIn: MetricsDescribing {
    package static let metricsHelp = InfraMeters.help
}

extension InfraPlugIn: LineExplaining {
    package func explain(
        _ arguments: String, of command: String, in module: String, storage: (any Storage)?
    ) async throws -> LineExplanation? {
        guard command == "infra search", let settings else { return nil }
        let parsed = InfraModule.parsed(arguments)
        guard let query = parsed.value as? Result<InfraQuery, QueryProblem> else { return nil }
        switch query {
        case .failure(let problem):
            return LineExplanation(
                parsed: parsed, rows: [("query", "invalid: \(problem.text)")], fields: ["query": .null])
        case .success(let query):
            let searches = query.searches.map { filters in
                filters.isEmpty
                    ? "none"
                    : filters.map { "\($0.name)=\($0.values.joined(separator: ","))" }.joined(separator: " and ")
            }
            let places = settings.places.map { "\($0.account) (\($0.region))" }
            return LineExplanation(
                parsed: parsed,
                rows: [("query", query.typed)] + searches.map { ("filter", $0) }
                    + query.checked.map { ("checked", $0.typed) }
                    + [("accounts", places.joined(separator: ", "))],
                fields: [
                    "query": .string(query.typed), "filters": .array(searches.map { .string($0) }),
                    "checked": .array(query.checked.map { .string($0.typed) }),
                    "accounts": .array(places.map { .string($0) }),
                ])
        }
    }
}
