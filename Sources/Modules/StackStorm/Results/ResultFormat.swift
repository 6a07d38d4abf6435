import PetrelKit
import PetrelSupport

/// The notation of the texts of StackStorm's aliases.
package enum ResultFormat: String, Sendable, CaseIterable {
    /// Plain text: all characters are literal.
    case text
    /// CommonMark, as in err-stackstorm.
    case markdown
    /// Slack's markup, as in st2chatops.
    case mrkdwn

    var style: Reply.Style {
        switch self {
        case .text: .plain
        case .markdown: .markdown
        case .mrkdwn: .mrkdwn
        }
    }
}

/// Creates replies from StackStorm's texts.
struct ResultWriter: Sendable {
    var format = ResultFormat.text
    /// True if mentions such as `<!channel>` notify people.
    var allowsMentions = false

    /// Creates a reply.
    ///
    /// - Parameter extra: The `extra` of StackStorm. `extra.petrel.format` sets the notation of this text, and is
    ///   removed.
    func reply(_ text: String, _ kind: Reply.Kind, extra: [String: JSONValue]?) -> Reply {
        var extra = extra ?? [:]
        let own = extra.removeValue(forKey: "petrel")?["format"]?.string.flatMap { ResultFormat(rawValue: $0) }
        let format = own ?? format
        let isQuiet = format == .mrkdwn && !allowsMentions
        // Cleaned first, because the removal of characters can create a mention.
        let text = ShownText.clean(text)
        return Reply(
            isQuiet ? Mrkdwn.withoutMentions(text) : text, style: format.style, kind: kind, extra: extra)
    }
}
