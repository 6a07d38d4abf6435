import PetrelKit
import PetrelSupport

/// Converts forms to modal views (https://docs.slack.dev/surfaces/modals), and submitted views to values.
enum SlackView {
    /// The `callback_id` of the bot's views.
    static let callback = "petrel.form"
    private static let action = "value"
    /// Slack's limits, in characters.
    private static let longest = (title: 24, label: 2_000, choice: 75, value: 150, text: 3_000)
    private static let mostFields = 100
    private static let mostChoices = 100

    /// The origin of a form, which is stored in its `private_metadata`.
    struct Origin: Equatable {
        var line: String
        var channel: String?
        var thread: String?
        /// The message ID of the slash command or interaction that opened the form.
        var opener: String?

        init(line: String, channel: String?, thread: String?, opener: String?) {
            self.line = line
            self.channel = channel
            self.thread = thread
            self.opener = opener
        }

        init?(_ text: String) {
            guard let json = try? JSONValue.parse(text.utf8), let line = json["line"]?.string else { return nil }
            self.init(
                line: line, channel: json["channel"]?.string, thread: json["thread"]?.string,
                opener: json["opener"]?.string)
        }

        var text: String {
            var object = JSONObject()
            object.set("channel", channel)
            object.set("line", line)
            object.set("opener", opener)
            object.set("thread", thread)
            return String(decoding: object.finish(), as: UTF8.self)
        }
    }

    /// Returns the modal view of a form.
    /// - Parameter problem: a message that is displayed above the fields.
    static func view(of form: Form, _ origin: Origin, problem: String? = nil) -> JSONValue {
        let note: [JSONValue] = problem.map { [["type": "section", "text": plain("⚠ \($0)", longest.text)]] } ?? []
        return [
            "type": "modal", "callback_id": .string(callback), "private_metadata": .string(origin.text),
            "title": plain(form.title, longest.title), "submit": plain(form.submit, longest.title),
            "close": plain("Cancel", longest.title),
            "blocks": .array(note + form.fields.prefix(mostFields - note.count).map(block)),
        ]
    }

    private static func block(_ field: Form.Field) -> JSONValue {
        var block: [String: JSONValue] = [
            "type": "input", "block_id": .string(field.name), "optional": .bool(!field.isRequired),
            "label": plain(field.label, longest.label), "element": .object(element(field)),
        ]
        if let hint = field.hint, !hint.isEmpty { block["hint"] = plain(hint, longest.label) }
        return .object(block)
    }

    private static func element(_ field: Form.Field) -> [String: JSONValue] {
        switch field.kind {
        case .boolean: return choices(["true", "false"], field)
        case .choice(let values)
        where !values.isEmpty && values.count <= mostChoices * mostChoices
            && values.allSatisfy { !$0.isEmpty && $0.utf16.count <= longest.value }:
            return choices(values, field)
        case .text, .lines, .choice:
            return input("plain_text_input", field, ["multiline": .bool(field.kind == .lines)])
        case .integer: return input("number_input", field, ["is_decimal_allowed": false])
        case .number: return input("number_input", field, ["is_decimal_allowed": true])
        }
    }

    private static func input(
        _ type: String, _ field: Form.Field, _ more: [String: JSONValue]
    ) -> [String: JSONValue] {
        var element = more
        element["type"] = .string(type)
        element["action_id"] = .string(action)
        // Slack rejects a number field whose initial value is not a number, such as a StackStorm template.
        let isFit = type != "number_input" || field.initial.flatMap { fits($0, field.kind) } == true
        if let initial = field.initial, !initial.isEmpty, initial.utf16.count <= longest.text, isFit {
            element["initial_value"] = .string(initial)
        }
        return element
    }

    private static func fits(_ text: String, _ kind: Form.Field.Kind) -> Bool {
        kind == .integer ? Int(text) != nil : Double(text)?.isFinite == true
    }

    private static func choices(_ values: [String], _ field: Form.Field) -> [String: JSONValue] {
        func option(_ value: String) -> JSONValue { ["text": plain(value, longest.choice), "value": .string(value)] }
        var element: [String: JSONValue] = ["type": "static_select", "action_id": .string(action)]
        if values.count <= mostChoices {
            element["options"] = .array(values.map(option))
        } else {
            let groups = stride(from: 0, to: values.count, by: mostChoices).map { start -> JSONValue in
                let part = values[start..<min(start + mostChoices, values.count)]
                let label = "\(part.first ?? "") … \(part.last ?? "")"
                return ["label": plain(label, longest.choice), "options": .array(part.map(option))]
            }
            element["option_groups"] = .array(groups)
        }
        if let initial = field.initial, values.contains(initial) { element["initial_option"] = option(initial) }
        return element
    }

    private static func plain(_ text: String, _ most: Int) -> JSONValue {
        ["type": "plain_text", "text": .string(text.fitting(most))]
    }

    /// Returns the submitted values by field name, without empty fields.
    static func values(of view: JSONValue) -> [String: String] {
        (view["state"]?["values"]?.object ?? [:]).compactMapValues { block in
            let answer = block[action]
            return answer?["selected_option"]?["value"]?.string ?? answer?["value"]?.string
        }
    }
}
