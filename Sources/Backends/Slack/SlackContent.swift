import Foundation
import PetrelKit
import PetrelSupport

/// Converts replies to arguments of `chat.postMessage`.
enum SlackContent {
    /// Returns `text` and the content of StackStorm's `extra.slack`: `blocks` (Block Kit), `attachments`, or the keys
    /// of one attachment, which then contains the text
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

    /// The prefix of the `action_id` of the bot's own buttons.
    static let buttonPrefix = "petrel."
    // Slack's limits, in characters.
    private static let longestSection = 3_000
    private static let longestLine = 2_000
    private static let longestLabel = 75
    private static let mostBlocks = 50

    /// Splits a text into section blocks at line ends, and closes the code fences of each part.
    private static func sections(_ text: String) -> [JSONValue] {
        MessageSplitter.split(text, atMost: longestSection).map {
            ["type": "section", "text": ["type": "mrkdwn", "text": .string($0)]]
        }
    }

    /// Renames the action IDs in blocks from StackStorm that would identify a button as the bot's own.
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

    /// Returns the buttons of a reply as a block. A form that could not be opened gets a button that opens it.
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
        arguments["blocks"] = extra["blocks"] ?? richText(reply)
        arguments["attachments"] = extra["attachments"]
        guard !extra.isEmpty, !hasOwnShape else { return arguments }
        let isMarkedUp = isMarkedUp(reply)
        let marked: [JSONValue] = isMarkedUp ? ["text"] : []
        // Slack supports only fences of three backticks, and displays language names.
        let isFenced = isMarkedUp && reply.style == .plain
        let shown =
            isFenced ? Mrkdwn.escaped(TextBlock.withFencesApart(shownText(of: reply), keepsLanguages: false)) : text
        var attachment: [String: JSONValue] = [
            "text": .string(shown), "fallback": .string(text), "mrkdwn_in": .array(marked + ["pretext", "fields"]),
        ]
        attachment.merge(extra) { _, new in new }
        arguments["attachments"] = [.object(attachment)]
        // The text would be displayed twice.
        arguments["text"] = nil
        arguments["blocks"] = nil
        return arguments
    }

    /// Returns a rich text block if Slack's markup, which has no escapes for its marks, would change the text: the text
    /// around the code fences of a plain text, or literal marks in Markdown.
    private static func richText(_ reply: Reply) -> JSONValue? {
        switch reply.style {
        case .plain: TextBlock.holdsFence(reply.text) ? [SlackRichText.block(shownText(of: reply))] : nil
        case .markdown: SlackRichText.block(markdown: shownText(of: reply)).map { [$0] }
        case .mrkdwn: nil
        }
    }

    /// Returns true if the text of an attachment can be sent as markup. Attachments do not support rich text.
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
                // A backtick next to a fence would be interpreted as a part of it.
                case .code(_, let lines): lines.allSatisfy { !$0.utf8.contains(UInt8(ascii: "`")) }
                }
            }
    }

    private static func shownText(of reply: Reply) -> String { reply.text.trimmingCharacters(in: .newlines) }

    /// Returns the text of a reply in Slack's notation.
    static func text(of reply: Reply) -> String {
        let text = shownText(of: reply)
        return switch reply.style {
        case .plain: Mrkdwn.escaped(text)
        case .markdown: MarkdownNotation.mrkdwn.rewrite(text)
        case .mrkdwn: Mrkdwn.safe(text)
        }
    }
}
