import Foundation
import PetrelKit
import PetrelSupport

/// What a reply is in the words of `chat.postMessage`.
enum SlackContent {
    /// `text`, and what StackStorm's `extra.slack` adds: `blocks` (Block Kit), `attachments`, or the keys of one
    /// attachment, into which the text goes then
    /// (https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments).
    static func arguments(_ reply: Reply) -> [String: JSONValue] {
        var arguments = content(reply)
        let actions = actions(reply)
        guard !actions.isEmpty else { return arguments }
        if let blocks = arguments["blocks"]?.array {
            if blocks.count + actions.count <= mostBlocks { arguments["blocks"] = .array(blocks + actions) }
        } else if let text = arguments["text"]?.string, !text.isEmpty {
            let shown = reply.style == .plain ? [SlackRichText.block(shownText(of: reply))] : sections(text)
            arguments["blocks"] = .array(shown + actions)
        } else {
            arguments["blocks"] = .array(actions)
        }
        return arguments
    }

    static let buttonPrefix = "petrel."
    /// Characters.
    private static let longestSection = 3_000
    private static let longestLine = 2_000
    private static let longestLabel = 75
    private static let mostBlocks = 50

    /// A text as blocks: cut at line ends, with its fences closed.
    private static func sections(_ text: String) -> [JSONValue] {
        MessageSplitter.split(text, atMost: longestSection).map {
            ["type": "section", "text": ["type": "mrkdwn", "text": .string($0)]]
        }
    }

    /// Blocks of others whose buttons do not pass for ours.
    private static func foreign(_ value: JSONValue) -> JSONValue {
        switch value {
        case .array(let items): return .array(items.map(foreign))
        case .object(let fields):
            return .object(
                Dictionary(
                    uniqueKeysWithValues: fields.map { key, value in
                        guard key == "action_id", let id = value.string, id.hasPrefix(buttonPrefix) else {
                            return (key, foreign(value))
                        }
                        return (key, .string("foreign." + id))
                    }))
        default: return value
        }
    }

    /// A form that could not be opened is behind a button.
    private static func actions(_ reply: Reply) -> [JSONValue] {
        var buttons = reply.buttons
        if let form = reply.form { buttons.append(Button("\(form.submit)…", line: form.line, style: .primary)) }
        let elements = buttons.enumerated().filter { $0.element.line.utf16.count <= longestLine }.map {
            number, button in
            var element: [String: JSONValue] = [
                "type": "button", "action_id": .string("\(buttonPrefix)\(number)"), "value": .string(button.line),
                "text": ["type": "plain_text", "text": .string(button.label.fitting(longestLabel))],
            ]
            if button.style != .normal { element["style"] = .string(button.style.rawValue) }
            if let question = button.question {
                element["confirm"] = [
                    "title": ["type": "plain_text", "text": "Are you sure?"],
                    "text": ["type": "plain_text", "text": .string(question.fitting(300))],
                    "confirm": ["type": "plain_text", "text": "Yes"], "deny": ["type": "plain_text", "text": "No"],
                ]
            }
            return JSONValue.object(element)
        }
        return elements.isEmpty ? [] : [["type": "actions", "elements": .array(elements)]]
    }

    private static func content(_ reply: Reply) -> [String: JSONValue] {
        let text = text(of: reply)
        var arguments: [String: JSONValue] = ["text": .string(text)]
        if reply.style == .plain { arguments["mrkdwn"] = false }
        if reply.isConfidential {
            arguments["unfurl_links"] = false
            arguments["unfurl_media"] = false
        }
        let extra = reply.extra["slack"].map(foreign)?.object ?? [:]
        let hasOwnShape = extra["blocks"] != nil || extra["attachments"] != nil
        arguments["blocks"] = extra["blocks"] ?? fenced(reply)
        arguments["attachments"] = extra["attachments"]
        guard !extra.isEmpty, !hasOwnShape else { return arguments }
        let isMarkedUp = isMarkedUp(reply)
        let marked: [JSONValue] = isMarkedUp ? ["text"] : []
        // Slack knows fences of three backticks only, and would show the names of languages.
        let isFenced = isMarkedUp && reply.style == .plain
        let shown =
            isFenced ? Mrkdwn.escaped(TextBlock.withFencesApart(shownText(of: reply), keepsLanguages: false)) : text
        var attachment: [String: JSONValue] = [
            "text": .string(shown), "fallback": .string(text), "mrkdwn_in": .array(marked + ["pretext", "fields"]),
        ]
        attachment.merge(extra) { _, new in new }
        arguments["attachments"] = [.object(attachment)]
        // It would be shown twice.
        arguments["text"] = nil
        arguments["blocks"] = nil
        return arguments
    }

    /// Fences are shown by Slack's markup, or by rich text where every other character stands.
    private static func fenced(_ reply: Reply) -> JSONValue? {
        guard reply.style == .plain, TextBlock.holdsFence(reply.text) else { return nil }
        return [SlackRichText.block(shownText(of: reply))]
    }

    /// Returns whether the text of an attachment may be sent as markup, which is all that attachments take.
    private static func isMarkedUp(_ reply: Reply) -> Bool {
        guard reply.style == .plain else { return true }
        let text = shownText(of: reply)
        return TextBlock.holdsFence(text)
            && TextBlock.blocks(of: text).allSatisfy { block in
                switch block {
                case .lines(let lines):
                    lines.allSatisfy { line in
                        line.utf8.first != UInt8(ascii: ">") && !line.utf8.contains { "*_~`".utf8.contains($0) }
                    }
                // A backtick beside the marks would be taken for one of them.
                case .code(_, let lines): lines.allSatisfy { !$0.utf8.contains(UInt8(ascii: "`")) }
                }
            }
    }

    private static func shownText(of reply: Reply) -> String { reply.text.trimmingCharacters(in: .newlines) }

    static func text(of reply: Reply) -> String {
        let text = shownText(of: reply)
        return switch reply.style {
        case .plain: Mrkdwn.escaped(text)
        case .markdown: MarkdownNotation.mrkdwn.rewrite(text)
        case .mrkdwn: Mrkdwn.safe(text)
        }
    }
}
