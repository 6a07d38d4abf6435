import PetrelKit
import PetrelSupport

/// How the texts of StackStorm's aliases are written.
package enum ResultFormat: String, Sendable, CaseIterable {
    /// Every character stands.
    case text
    /// CommonMark, as err-stackstorm shows it.
    case markdown
    /// Slack's own markup, as st2chatops sends it.
    case mrkdwn

    var style: Reply.Style {
        switch self {
        case .text: .plain
        case .markdown: .markdown
        case .mrkdwn: .mrkdwn
        }
    }
}

/// Makes replies of what StackStorm says.
struct ResultWriter: Sendable {
    var format = ResultFormat.text
    /// Whether `<!channel>` and the like call people.
    var allowsMentions = false

    /// - Parameter extra: StackStorm's. `extra.petrel.format` says how this one text is written, and is for nobody else.
    func reply(_ text: String, _ kind: Reply.Kind, extra: [String: JSONValue]?) -> Reply {
        var extra = extra ?? [:]
        let own = extra.removeValue(forKey: "petrel")?["format"]?.string.flatMap { ResultFormat(rawValue: $0) }
        let format = own ?? format
        let isQuiet = format == .mrkdwn && !allowsMentions
        // What is taken out later must not make a mention of what was none.
        let text = ShownText.clean(text)
        return Reply(
            isQuiet ? Mrkdwn.withoutMentions(text) : text, style: format.style, kind: kind, extra: extra)
    }
}
