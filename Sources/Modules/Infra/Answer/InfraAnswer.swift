import AWSClient
import Foundation
import PetrelKit
import PetrelSupport

/// The answer to a search, in Markdown and as plain text.
struct InfraAnswer: Sendable {
    /// The maximum number of reasons for which accounts could not be searched.
    private static let mostFailures = 10
    /// The maximum numbers of instances and of reasons if each line is a message of its own.
    private static let mostLines = 5
    private static let mostCompactFailures = 3

    let query: InfraQuery
    let result: SearchResult
    let now: Date
    /// Returns the line of a search for a query, as the person has to type it.
    let searching: @Sendable (String) -> String
    /// The line that lists the accounts.
    let listing: String
    /// True for an answer of few lines, each of which is a message of its own.
    var isCompact = false

    /// True if only the person who asked needs the answer.
    var isPrivate: Bool { result.total == 0 }

    /// Returns the paragraphs of the answer.
    func paragraphs(_ style: InfraStyle) -> [String] {
        var paragraphs: [String] = []
        if result.total == 1, let hit = result.hits.first {
            let lines = InfraLines(style: style, now: now)
            let details = isCompact ? lines.compactDetails(of: hit) : lines.details(of: hit)
            paragraphs.append(details.joined(separator: "\n"))
        } else if result.total > 1 {
            paragraphs.append(list(style))
        } else {
            paragraphs.append(nothing(style))
        }
        paragraphs += notes(style)
        return paragraphs
    }

    private func list(_ style: InfraStyle) -> String {
        let addresses = query.terms.compactMap { if case .address(let address) = $0 { address } else { nil } }
        let lines = InfraLines(style: style, now: now, addresses: Set(addresses))
        let hits = result.hits.prefix(isCompact ? Self.mostLines : PlaceResult.most)
        let more = result.total - hits.count
        var all = [style.bold("\(result.hasMore ? "More than " : "")\(result.total) instances")]
        all += hits.map { style.item(lines.summary(of: $0)) }
        let example = style.code("state:running")
        if more > 0, isCompact {
            all[0] += ", of which the first \(hits.count) follow. Add a word to narrow the search, such as \(example)."
        } else if more > 0 {
            let number = result.hasMore ? "more than \(more) others" : "\(more) more"
            all.append("… and \(number). Add a word to narrow the search, such as \(example).")
        }
        return all.joined(separator: "\n")
    }

    private func nothing(_ style: InfraStyle) -> String {
        guard !result.searched.isEmpty else { return style.bold("No account could be searched.") }
        let searched = Self.count(Set(result.searched.map(\.account)).count, "account")
        var text = "No instance matches \(style.code(query.typed)) in \(searched)."
        let wider = query.terms.map { term in
            if case .name(let name) = term, !Wildcard.isPattern(name) { InfraTerm.name("*\(name)*") } else { term }
        }
        if wider != query.terms {
            let example = searching(wider.map(\.typed).joined(separator: " "))
            text += " A name must match completely, and is case-sensitive. For a part of it: \(style.code(example))"
        }
        return text
    }

    /// The notes about results from memory, and about accounts that could not be searched.
    func notes(_ style: InfraStyle) -> [String] {
        [remembered, failures(style)].compactMap(\.self)
    }

    private var remembered: String? {
        guard let (age, places) = result.remembered else { return nil }
        let ago = "\(max(1, age.components.seconds)) s ago"
        guard places < result.searched.count + result.failures.count else { return "As seen \(ago)." }
        return "In part as seen \(ago)."
    }

    private func failures(_ style: InfraStyle) -> String? {
        guard !result.failures.isEmpty else { return nil }
        let causes = FailureCause.grouped(result.failures)
        let isEverything = result.searched.isEmpty && causes.count == 1
        let shown = causes.prefix(isCompact ? Self.mostCompactFailures : Self.mostFailures).map { cause in
            "\(cause.subject(style, isEverything: isEverything)): \(style.text(cause.clause))"
        }
        let more = causes.count - shown.count
        let rest = more > 0 ? "\(isCompact ? " " : "\n")… and \(more) more; see \(style.code(listing))" : ""
        return style.list("Not searched:", shown, isCompact: isCompact) + rest
    }

    static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
}

extension InfraAnswer {
    /// Returns the reply for a backend.
    func reply(for traits: BackendTraits) -> Reply {
        let style: InfraStyle = traits.markdown ? .markdown : .plain
        var answer = self
        answer.isCompact = traits.sendsLines
        var text = answer.paragraphs(style).joined(separator: traits.sendsLines ? "\n" : "\n\n")
        // Slack shows the blocks; the text is for notifications, and has to fit into one message.
        if traits.mrkdwn { text = InfraBlocks.start(of: text, atMost: min(2_500, traits.maximumLength * 4 / 5)) }
        return Reply(
            text, style: traits.markdown ? .markdown : .plain,
            kind: result.searched.isEmpty ? .error : .answer, isPrivate: isPrivate,
            extra: traits.mrkdwn ? ["slack": InfraBlocks.content(of: self)] : [:])
    }
}
