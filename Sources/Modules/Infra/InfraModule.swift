import AWSClient
package import Foundation
import Logging
package import PetrelKit
import PetrelSupport

/// Finds instances in many accounts and regions of AWS.
package final class InfraModule: BotModule {
    /// `infra`.
    package let name = "infra"
    private let settings: InfraSettings
    private let host: ModuleHost
    private let clock: AWSClock
    private let search: InfraSearch
    private let now: @Sendable () -> Date

    /// Creates the module. Throws an error if the certificates of `AWS_CA_BUNDLE` cannot be read.
    /// - Parameter now: Returns the current time.
    package convenience init(
        _ settings: InfraSettings, host: ModuleHost, now: @escaping @Sendable () -> Date = { .now }
    ) throws {
        let logger = host.logger
        let clock = AWSClock(local: { Int64(now().timeIntervalSince1970) }) { host, offset in
            let text = ClockNote.text(offset) ?? "The clock of this machine equals that of AWS again."
            logger.warning("\(text) (\(host))")
        }
        let client = try QueryClient(environment: settings.environment, clock: clock)
        let sessions = RoleSessions(
            client, name: host.bot.name, environment: settings.environment, programs: settings.programEnvironment,
            region: settings.chainRegion, limit: settings.limit)
        let ec2 = EC2(client, sessions)
        self.init(
            settings, host: host, clock: clock, now: now, prepare: { try await ec2.prepare($0, until: $1) },
            describe: { try await ec2.describeInstances($0, in: $1, until: $2, $3) })
    }

    /// Creates the module with another source of instances.
    init(
        _ settings: InfraSettings, host: ModuleHost, clock: AWSClock, now: @escaping @Sendable () -> Date,
        prepare: @escaping InfraSearch.Prepare = { _, _ in }, describe: @escaping InfraSearch.Describe
    ) {
        self.settings = settings
        self.host = host
        self.clock = clock
        self.now = now
        search = InfraSearch(
            settings, meters: InfraMeters(host.metrics), logger: host.logger, prepare: prepare, describe: describe)
    }

    /// The interval in which sessions are checked; they are renewed five minutes before they expire.
    private static let interval = Duration.seconds(240)

    /// Keeps the sessions of all roles ready until cancelled, so that a search takes only one call for each region.
    package func run() async throws {
        while true {
            await search.prepareAll()
            try await Task.sleep(for: Self.interval)
        }
    }

    /// The names of the commands.
    static let names = ["infra search", "infra accounts"]

    package var commands: [Command] {
        var search = Command(
            "infra search", usage: "QUERY", summary: "Find instances in all AWS accounts and regions.",
            otherNames: ["infra-search"], parse: { arguments, _ in Self.parsed(arguments) },
            handler: { try await self.find($0) })
        search.details = InfraForms.lines
        return [
            search,
            Command(
                "infra accounts", usage: "[WORD]", summary: "List the AWS accounts and regions, and their last errors.",
                otherNames: ["infra-accounts"], handler: { self.list($0) }),
        ]
    }

    /// Returns the arguments as a query, or the reason for which they are not a query. Rules that deny arguments see each
    /// term in its normal form as well, so that a different notation of the same term does not evade them.
    static func parsed(_ arguments: String) -> ParsedLine {
        let query = Result { () throws(QueryProblem) in try InfraQuery(arguments) }
        return ParsedLine(query, masked: arguments) {
            guard case .success(let query) = query else { return [] }
            return ([query.typed] + query.terms.map(\.typed)).map { .part($0) }
        }
    }

    private func find(_ invocation: Invocation) async throws -> Reply? {
        guard let parsed = invocation.parsed as? Result<InfraQuery, QueryProblem> else { return nil }
        switch parsed {
        case .failure(let problem):
            return Reply(
                "\(problem.text)\n\(InfraForms.text(invocation))", kind: .error, isPrivate: true)
        case .success(let query): return try await answer(query, invocation)
        }
    }

    private func answer(_ query: InfraQuery, _ invocation: Invocation) async throws -> Reply? {
        let wait = SearchWait(host.chat, invocation, accounts: settings.accounts.count)
        let result = try await wait.value(patience: settings.patience) { try await self.search.result(of: query) }
        let answer = InfraAnswer(
            query: query, result: result, now: now().addingTimeInterval(Double(clock.offset)),
            searching: { InfraForms.line($0, invocation) }, listing: invocation.typed("infra accounts"))
        return wait.finish(answer.reply(for: invocation.traits))
    }

    private func list(_ invocation: Invocation) -> Reply {
        AccountsAnswer(
            search: search, clockOffset: clock.offset, now: now(), part: invocation.arguments,
            listing: { invocation.typed("infra accounts \($0)") }
        ).reply(for: invocation.traits)
    }
}

extension InfraModule: StatusReporting {
    package func status() -> [StatusLine] {
        let summary = search.health.summary
        let places = search.places.count
        let accounts = InfraAnswer.count(settings.accounts.count, "account")
        var detail = "\(accounts), \(InfraAnswer.count(places, "region"))"
        detail +=
            summary.lastGood.map { ", last answer \(Duration.seconds(now().timeIntervalSince($0)).inWords) ago" } ?? ""
        if summary.failing > 0 { detail += "; \(summary.failing) of \(places) failed lately, see `infra accounts`" }
        if let note = ClockNote.text(clock.offset) { detail += ". \(note)" }
        // The failure of a region must not make an orchestrator restart the bot.
        return [StatusLine("infra", isHealthy: summary.hasSessions, detail)]
    }
}

/// The forms of queries, for replies and help.
enum InfraForms {
    /// Returns the line of a search as the person has to type it: as the slash command if they used it.
    static func line(_ query: String, _ invocation: Invocation) -> String {
        let isSlash = invocation.message.slashCommand.map { $0.utf8.elementsEqual("/infra-search".utf8) } ?? false
        return invocation.typed("\(isSlash ? "infra-search" : "infra search") \(query)")
    }

    static func text(_ invocation: Invocation) -> String {
        "Write \(line("QUERY", invocation)) with words that must all match:\n\(lines.joined(separator: "\n"))"
    }

    /// The forms of words, one for each line.
    static let lines =
        [
            "i-0123456789abcdef0 (an instance ID)", "10.2.3.4, 203.0.113.7 or 2001:db8::7 (an address)",
            "ip-10-2-3-4.eu-west-2.compute.internal (a DNS name of AWS)",
            "web-1, web*, name:web* (a name), or * (every instance)",
            "tag:Role=db, tag:Role=web* (a tag)", "ami:ami-0123456789abcdef0 (an image)",
            "state:stopped, type:t3.*, az:eu-west-2a (beside another word)",
        ].map { "• \($0)" } + ["In names, tags, images, types and zones, * is any text and ? is any character."]
}
