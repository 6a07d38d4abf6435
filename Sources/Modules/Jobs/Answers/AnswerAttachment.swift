import Foundation
import PetrelKit
import PetrelSupport

/// An attachment of a reply, with the keys of Slack that CatOps uses.
struct AnswerAttachment: Sendable, Equatable {
    private static let most = 20
    private static let mostFields = 50
    private static let keys = [
        "fallback", "color", "pretext", "author_name", "author_link", "author_icon", "title", "title_link", "text",
        "image_url", "thumb_url", "footer", "footer_icon", "ts",
    ]

    /// A field: a title and a value.
    struct Field: Sendable, Equatable {
        var title: String
        var value: String
        var isShort: Bool
    }

    /// The texts, by their keys.
    var texts: [String: String] = [:]
    /// The fields.
    var fields: [Field] = []

    /// Reads a list of attachments, or one.
    /// - Parameter problems: The list to which what cannot be read is added.
    static func list(
        _ value: JSONValue?, at place: String, _ problems: inout [AnswerReply.Problem]
    ) -> [AnswerAttachment] {
        guard let value, value != .null else { return [] }
        let items = value.array ?? [value]
        if items.count > most {
            problems.append(AnswerReply.Problem("\(place) has \(items.count) attachments; \(most) is the maximum"))
        }
        var list: [AnswerAttachment] = []
        for (index, item) in items.prefix(most).enumerated() {
            do throws(AnswerReply.Problem) {
                list.append(try AnswerAttachment(item, at: "\(place)[\(index)]"))
            } catch {
                problems.append(error)
            }
        }
        // Slack refuses a message that shows nothing.
        return list.filter { !$0.isEmpty }
    }

    private init(_ value: JSONValue, at place: String) throws(AnswerReply.Problem) {
        guard let object = value.object else {
            throw AnswerReply.Problem("\(place) is \(value.typeName), not an object")
        }
        for key in Self.keys { texts[key] = try AnswerReply.string(object[key], "\(place).\(key)") }
        let items = object["fields"].map { $0.array ?? [$0] } ?? []
        for (index, item) in items.prefix(Self.mostFields).enumerated() where item != .null {
            let place = "\(place).fields[\(index)]"
            fields.append(
                Field(
                    title: try AnswerReply.string(item["title"], "\(place).title") ?? "",
                    value: try AnswerReply.string(item["value"], "\(place).value") ?? "",
                    isShort: item["short"]?.bool ?? false))
        }
    }

    /// True if the attachment shows nothing.
    private var isEmpty: Bool {
        texts.allSatisfy { ["color", "ts"].contains($0.key) || $0.value.isEmpty }
            && fields.allSatisfy { $0.title.isEmpty && $0.value.isEmpty }
    }

    /// Creates an attachment.
    init(texts: [String: String], fields: [Field] = []) {
        self.texts = texts
        self.fields = fields
    }

    /// The attachment for Slack.
    /// - Parameter isMarkedUp: true if texts are in Slack's markup; they mention groups of people in no case.
    func slack(isMarkedUp: Bool) -> JSONValue {
        func shown(_ text: String) -> JSONValue {
            .string(isMarkedUp ? Mrkdwn.withoutMentions(text) : Mrkdwn.escaped(text))
        }
        var object: [String: JSONValue] = [:]
        for (key, text) in texts {
            switch key {
            case "color": object[key] = .string(Self.colour(text))
            case "ts": object[key] = Double(text).map { .integer(Int(clampingWhole: $0)) }
            case _ where key.utf8.reversed().starts(with: "_link".utf8.reversed()),
                _ where key.utf8.reversed().starts(with: "_icon".utf8.reversed()),
                _ where key.utf8.reversed().starts(with: "_url".utf8.reversed()):
                object[key] = .string(text)
            default: object[key] = shown(text)
            }
        }
        if !fields.isEmpty {
            object["fields"] = .array(
                fields.map {
                    ["title": shown($0.title), "value": shown($0.value), "short": .bool($0.isShort)] as JSONValue
                })
        }
        if isMarkedUp { object["mrkdwn_in"] = ["text", "pretext", "fields"] }
        if object["fallback"] == nil { object["fallback"] = shown(text) }
        return .object(object)
    }

    /// The attachment as a plain text, for backends without attachments.
    var text: String {
        var lines = [texts["pretext"], texts["author_name"]]
        let links = [texts["title"], texts["title_link"]].compactMap(\.self).filter { !$0.isEmpty }
        lines.append(links.isEmpty ? nil : links.joined(separator: ": "))
        lines.append(texts["text"])
        for field in fields {
            lines.append([field.title, field.value].filter { !$0.isEmpty }.joined(separator: ": "))
        }
        lines += [texts["image_url"], texts["footer"]]
        let text = lines.compactMap(\.self).filter { !$0.isEmpty }.joined(separator: "\n")
        return text.isEmpty ? texts["fallback"] ?? "" : text
    }

    /// Returns a colour as Slack expects it: CatOps writes `ff0000` for `#ff0000`.
    private static func colour(_ text: String) -> String {
        let isHex = text.utf8.count == 6 && text.utf8.allSatisfy { Unicode.Scalar($0).properties.isASCIIHexDigit }
        return isHex ? "#" + text : text
    }
}
