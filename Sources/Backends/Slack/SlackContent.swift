import Foundation
import PetrelKit

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
            arguments["blocks"] = .array((reply.style == .plain ? [plain(reply.text)] : sections(text)) + actions)
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

    /// A text as blocks, cut at line breaks where it can be.
    private static func sections(_ text: String) -> [JSONValue] {
        var sections: [JSONValue] = []
        var rest = Substring(text)
        while !rest.isEmpty {
            var part = rest.prefix(longestSection)
            if part.endIndex < rest.endIndex, let cut = part.lastIndex(where: \.isNewline), cut > part.startIndex {
                part = part[..<cut]
            }
            sections.append(["type": "section", "text": ["type": "mrkdwn", "text": .string(String(part))]])
            rest = rest[part.endIndex...].drop(while: \.isNewline)
        }
        return sections
    }

    /// What is no markdown stays as it is in blocks, too, and addresses can be followed
    /// (https://docs.slack.dev/reference/block-kit/blocks/rich-text-block).
    private static func plain(_ text: String) -> JSONValue {
        var elements: [JSONValue] = []
        var rest = text[...]
        func add(_ text: Substring) {
            if !text.isEmpty { elements.append(["type": "text", "text": .string(String(text))]) }
        }
        while let address = rest.firstMatch(of: /https?:\/\/[^\s<>"]+/) {
            add(rest[..<address.range.lowerBound])
            elements.append(["type": "link", "url": .string(String(address.output))])
            rest = rest[address.range.upperBound...]
        }
        add(rest)
        return ["type": "rich_text", "elements": [["type": "rich_text_section", "elements": .array(elements)]]]
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
        let elements = buttons.enumerated().filter { $0.element.line.count <= longestLine }.map { number, button in
            var element: [String: JSONValue] = [
                "type": "button", "action_id": .string("\(buttonPrefix)\(number)"), "value": .string(button.line),
                "text": ["type": "plain_text", "text": .string(String(button.label.prefix(longestLabel)))],
            ]
            if button.style != .normal { element["style"] = .string(button.style.rawValue) }
            if let question = button.question {
                element["confirm"] = [
                    "title": ["type": "plain_text", "text": "Are you sure?"],
                    "text": ["type": "plain_text", "text": .string(String(question.prefix(300)))],
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
        // What is no markdown stays as it is, asterisks and all.
        if reply.style == .plain { arguments["mrkdwn"] = false }
        if reply.isConfidential {
            arguments["unfurl_links"] = false
            arguments["unfurl_media"] = false
        }
        guard let extra = reply.extra["slack"].map(foreign)?.object, !extra.isEmpty else { return arguments }
        if let blocks = extra["blocks"] { arguments["blocks"] = blocks }
        if let attachments = extra["attachments"] { arguments["attachments"] = attachments }
        guard extra["blocks"] == nil, extra["attachments"] == nil else { return arguments }
        var attachment: [String: JSONValue] = [
            "text": .string(text), "fallback": .string(text), "mrkdwn_in": ["text", "pretext", "fields"],
        ]
        attachment.merge(extra) { _, new in new }
        arguments["attachments"] = [.object(attachment)]
        // It would be shown twice.
        arguments["text"] = nil
        return arguments
    }

    static func text(of reply: Reply) -> String {
        let text = reply.text.trimmingCharacters(in: .newlines)
        return reply.style == .markdown ? MarkdownNotation.mrkdwn.rewrite(text) : SlackEscapes.encode(text)
    }
}
