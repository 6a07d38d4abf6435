import PetrelKit
import PetrelSupport

/// A record of a program's log, as CatOps' `SlackHandler` sends it.
struct LogRecord: Sendable, Equatable {
    /// The reason for which a body is not a record, as a sentence.
    struct Problem: Error, CustomStringConvertible {
        let description: String
    }

    /// The maximum number of rooms.
    private static let mostChannels = 20
    /// The maximum length of the message, in Unicode scalars.
    private static let longestMessage = 8_000

    /// The rooms.
    var channels: [String]
    /// The time, as the sender wrote it.
    var time: String
    /// The level.
    var level: String
    /// The message.
    var message: String

    /// Reads the body of a request.
    init(_ body: [UInt8]) throws(Problem) {
        let value: JSONValue
        do {
            value = try JSONValue.parse(body)
        } catch {
            throw Problem(description: "The body cannot be read: \(JSONValue.reason(of: error, in: body)).")
        }
        guard let object = value.object else { throw Problem(description: "The body must be an object.") }
        func text(_ key: String) throws(Problem) -> String {
            switch object[key] {
            case .string(let text)?: return text
            case .integer(let number)?: return "\(number)"
            case .number(let number)?: return "\(number)"
            default: throw Problem(description: "The key \(key) must be a string.")
            }
        }
        guard let list = object["channels"]?.array, (1...Self.mostChannels).contains(list.count) else {
            throw Problem(description: "The key channels must be a list of 1 to \(Self.mostChannels) rooms.")
        }
        channels = list.compactMap(\.string)
        guard channels.count == list.count else { throw Problem(description: "The key channels must contain strings.") }
        (time, level, message) = (try text("time"), try text("level"), try text("message"))
        guard !message.isBlank else { throw Problem(description: "The key message must not be empty.") }
        if message.unicodeScalars.count > Self.longestMessage {
            message = String(message.unicodeScalars.prefix(Self.longestMessage)) + "…"
        }
        (time, level) = (Self.word(time), Self.word(level))
    }

    private static func word(_ text: String) -> String { String(Printable.line(text).unicodeScalars.prefix(100)) }

    /// The colour of the level.
    var colour: String {
        let colours = ["CRITICAL": "#ff0000", "ERROR": "#ff9933", "WARNING": "#ffcc00", "INFO": "#33ccff"]
        return colours.first { level.isKeyword($0.key) }?.value ?? "good"
    }

    /// Returns the message of the bot.
    /// - Parameters:
    ///   - origin: the address of the sender.
    ///   - isRich: true if the backend renders attachments.
    func reply(from origin: String, isRich: Bool) -> Reply {
        let text = ShownText.clean(message)
        guard isRich else { return Reply("\(level) \(time): \(text)") }
        let attachment = AnswerAttachment(
            texts: ["author_name": "Log", "color": colour, "fallback": "\(level): \(text)"],
            fields: [
                AnswerAttachment.Field(title: "Message", value: text, isShort: false),
                AnswerAttachment.Field(title: "Level", value: level, isShort: true),
                AnswerAttachment.Field(title: "Time", value: time, isShort: true),
                AnswerAttachment.Field(title: "Source IP", value: origin, isShort: true),
            ])
        return Reply("", extra: ["slack": ["attachments": [attachment.slack(isMarkedUp: false)]]])
    }
}
