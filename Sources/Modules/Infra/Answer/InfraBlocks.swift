import PetrelKit
import PetrelSupport

/// The blocks of an answer for Slack (https://docs.slack.dev/reference/block-kit/blocks).
enum InfraBlocks {
    // Slack's limits, in characters.
    private static let longestSection = 3_000
    private static let longestField = 2_000

    /// Returns the content of `extra.slack`.
    static func content(of answer: InfraAnswer) -> JSONValue {
        var blocks: [JSONValue] = []
        let result = answer.result
        if result.total == 1, let hit = result.hits.first {
            blocks += details(of: hit, answer)
        } else {
            blocks += sections(answer.paragraphs(.markdown).first ?? "")
        }
        for note in answer.notes(.markdown) { blocks += contexts(note) }
        return ["blocks": .array(blocks)]
    }

    private static func details(of hit: InfraHit, _ answer: InfraAnswer) -> [JSONValue] {
        let lines = InfraLines(style: .markdown, now: answer.now)
        let details = lines.details(of: hit)
        let facts = lines.facts(of: hit.instance)
        // The facts become fields, two in a row.
        let fields = facts.map { fact -> JSONValue in
            let text = start(of: MarkdownNotation.mrkdwn.rewrite(fact.text), atMost: longestField - 100)
            return ["type": "mrkdwn", "text": .string("*\(fact.label)*\n\(text)")]
        }
        var section: [String: JSONValue] = [
            "type": "section", "text": text(details.prefix(2).joined(separator: "\n"), longestSection),
        ]
        if !fields.isEmpty { section["fields"] = .array(fields) }
        var blocks = [JSONValue.object(section)]
        if details.count > 2 + facts.count, let links = details.last { blocks += contexts(links) }
        return blocks
    }

    private static func sections(_ markdown: String) -> [JSONValue] {
        MessageSplitter.split(MarkdownNotation.mrkdwn.rewrite(markdown), atMost: longestSection).map {
            ["type": "section", "text": ["type": "mrkdwn", "text": .string($0)]]
        }
    }

    /// Returns a note as blocks with small text.
    private static func contexts(_ markdown: String) -> [JSONValue] {
        MessageSplitter.split(MarkdownNotation.mrkdwn.rewrite(markdown), atMost: longestField).map {
            ["type": "context", "elements": [["type": "mrkdwn", "text": .string($0)]]]
        }
    }

    private static func text(_ markdown: String, _ most: Int) -> JSONValue {
        ["type": "mrkdwn", "text": .string(start(of: MarkdownNotation.mrkdwn.rewrite(markdown), atMost: most))]
    }

    /// Returns a text that is not longer than the limit, with `…` at its end if something is missing.
    static func start(of text: String, atMost most: Int) -> String {
        // A link or an entity must not be cut.
        let pieces = MessageSplitter.split(text, atMost: most - 2)
        guard pieces.count > 1, text.unicodeScalars.count > most else { return text }
        return (pieces.first ?? "") + " …"
    }
}
