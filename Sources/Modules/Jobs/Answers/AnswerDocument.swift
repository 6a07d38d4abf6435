import PetrelSupport

/// The standard output of a command with `answer: json`.
enum AnswerDocument: Sendable, Equatable {
    /// The output consists of these replies; an empty list is no reply.
    case replies([AnswerReply])
    /// The output is a text.
    case text
    /// The output looks like JSON, but cannot be used as such, for this reason.
    case unreadable(String)

    /// The maximum number of replies.
    static let most = 20

    /// Reads an output.
    init(_ bytes: [UInt8]) {
        guard Self.looksLikeJSON(bytes) else {
            self = .text
            return
        }
        do {
            self = .replies(try Self.replies(try JSONValue.parse(Self.withoutMark(bytes))))
        } catch let problem as AnswerReply.Problem {
            self = .unreadable(problem.description)
        } catch {
            self = .unreadable(JSONValue.reason(of: error))
        }
    }

    /// Returns whether an output begins as an object or a list does.
    static func looksLikeJSON(_ bytes: [UInt8]) -> Bool {
        let first = withoutMark(bytes).first { $0 != 0x20 && $0 != 0x0A && $0 != 0x0D && $0 != 0x09 }
        return first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
    }

    /// Returns the bytes without a byte order mark.
    private static func withoutMark(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
        bytes.dropFirst(bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0)
    }

    private static func replies(_ value: JSONValue) throws(AnswerReply.Problem) -> [AnswerReply] {
        guard let list = value.array else { return [try AnswerReply(value, at: "the object")] }
        guard list.count <= most else {
            throw AnswerReply.Problem("it is a list of \(list.count) replies; \(most) is the maximum")
        }
        var replies: [AnswerReply] = []
        for (index, item) in list.enumerated() { replies.append(try AnswerReply(item, at: "[\(index)]")) }
        return replies
    }
}

/// One reply of a command.
struct AnswerReply: Sendable, Equatable {
    /// The reason for which a reply cannot be used, as a clause.
    struct Problem: Error, Equatable, CustomStringConvertible {
        let description: String

        init(_ description: String) { self.description = description }
    }

    /// The thread of a reply.
    enum Thread: Sendable, Equatable {
        /// That of the call.
        case same
        /// One below the message of the call.
        case own
        /// None.
        case none
        /// The thread with this identifier.
        case id(String)
    }

    /// The text.
    var text = ""
    /// True if only the person who asked should see the reply.
    var isPrivate = false
    /// True if the text is in Slack's markup.
    var isMarkedUp = false
    /// The attachments.
    var attachments: [AnswerAttachment] = []
    /// The lines to run next, with their labels.
    var suggestions: [AnswerSuggestion] = []
    /// The thread.
    var thread = Thread.same
    /// Remarks about members that have no effect, as clauses.
    var notes: [String] = []

    /// The members of a reply to API Gateway, which CatOps adds.
    private static let ignored: Set = ["statusCode", "headers", "isBase64Encoded"]
    private static let keys = ["text", "attachments", "suggestions", "response_type", "thread", "mrkdwn"]

    /// Reads a reply.
    /// - Parameter place: the place of the value, for errors.
    init(_ value: JSONValue, at place: String) throws(Problem) {
        guard let object = value.object else {
            throw Problem("\(place) is \(value.typeName), not an object with the key text")
        }
        guard Self.keys.contains(where: { object[$0] != nil }) || object.isEmpty else {
            throw Problem("\(place) has none of the keys \(Self.keys.joined(separator: ", "))")
        }
        text = try Self.string(object["text"], "\(place).text") ?? ""
        switch try Self.string(object["response_type"], "\(place).response_type") {
        case nil, "in_channel": break
        case "ephemeral": isPrivate = true
        case let other?: throw Problem("\(place).response_type is \"\(other)\", not ephemeral or in_channel")
        }
        let unknown = object.keys.filter { !Self.keys.contains($0) && !Self.ignored.contains($0) }.sorted()
        if !unknown.isEmpty {
            let names = unknown.prefix(5).map { Printable.name($0) }.joined(separator: ", ")
            notes.append("\(place) has unknown keys, which have no effect: \(names)")
        }
        if let mark = object["mrkdwn"], mark != .null, mark.bool == nil {
            throw Problem("\(place).mrkdwn is \(mark.typeName), not true or false")
        }
        isMarkedUp = object["mrkdwn"]?.bool ?? false
        attachments = try AnswerAttachment.list(object["attachments"], at: "\(place).attachments")
        suggestions = try AnswerSuggestion.list(object["suggestions"], at: "\(place).suggestions")
        switch object["thread"] {
        case nil, .null?: break
        case .bool(let isOwn)?: thread = isOwn ? .own : .none
        case .string(let id)?: thread = id.isBlank ? .none : .id(id)
        case let other?: throw Problem("\(place).thread is \(other.typeName), not true, false or an identifier")
        }
    }

    /// Returns a text; nil if it is absent.
    static func string(_ value: JSONValue?, _ place: String) throws(Problem) -> String? {
        switch value {
        case nil, .null?: return nil
        case .string(let text)?: return text
        case .integer(let number)?: return "\(number)"
        case .number(let number)?: return "\(number)"
        case let other?: throw Problem("\(place) is \(other.typeName), not a string")
        }
    }
}

/// A line that a reply suggests to run next.
struct AnswerSuggestion: Sendable, Equatable {
    /// The label of its button.
    var label: String
    /// The line.
    var line: String

    private static let most = 10
    private static let longest = 1_000

    /// Reads a list of lines, or of objects with `text` and `command`.
    static func list(_ value: JSONValue?, at place: String) throws(AnswerReply.Problem) -> [AnswerSuggestion] {
        guard let value, value != .null else { return [] }
        guard let items = value.array else {
            throw AnswerReply.Problem("\(place) is \(value.typeName), not a list of lines")
        }
        var list: [AnswerSuggestion] = []
        for (index, item) in items.prefix(most).enumerated() {
            let line = try AnswerReply.string(item["command"] ?? item, "\(place)[\(index)]") ?? ""
            let label = try AnswerReply.string(item["text"], "\(place)[\(index)].text") ?? line
            let shown = Printable.line(line)
            guard !shown.isBlank, shown.utf8.count <= longest else {
                throw AnswerReply.Problem("\(place)[\(index)] must be a line of 1 to \(longest) bytes")
            }
            list.append(AnswerSuggestion(label: label.isBlank ? shown : Printable.line(label), line: shown))
        }
        return list
    }
}
