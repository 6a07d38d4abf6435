import PetrelSupport

/// The standard output of a command with `answer: json`.
enum AnswerDocument: Sendable, Equatable {
    /// The output consists of these replies; an empty list is no reply.
    case replies([AnswerReply])
    /// The output is a text.
    case text
    /// The output looks like JSON, but cannot be used as such, for this reason. It is private if it may have been meant so.
    case unreadable(String, isPrivate: Bool)

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
            self = .unreadable(problem.description, isPrivate: Self.mayBePrivate(bytes))
        } catch {
            let reason = JSONValue.reason(of: error, in: Self.withoutMark(bytes))
            self = .unreadable(reason, isPrivate: Self.mayBePrivate(bytes))
        }
    }

    /// Returns whether an output that cannot be read as replies has the word for a private one anywhere.
    static func mayBePrivate(_ bytes: [UInt8]) -> Bool { bytes.contains("ephemeral".utf8) }

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

    /// Reads a reply. Parts that cannot be used are left out, with a note.
    /// - Parameter place: the place of the value, for errors.
    init(_ value: JSONValue, at place: String) throws(Problem) {
        guard let object = value.object else {
            throw Problem("\(place) is \(value.typeName), not an object with the key text")
        }
        guard Self.keys.contains(where: { object[$0] != nil }) || object.isEmpty else {
            throw Problem("\(place) has none of the keys \(Self.keys.joined(separator: ", "))")
        }
        text = try Self.string(object["text"], "\(place).text") ?? ""
        readType(object["response_type"], "\(place).response_type")
        let unknown = object.keys.filter { !Self.keys.contains($0) && !Self.ignored.contains($0) }.sorted()
        if !unknown.isEmpty {
            let names = unknown.prefix(5).map { Printable.name($0) }.joined(separator: ", ")
            notes.append("\(place) has unknown keys, which have no effect: \(names)")
        }
        if let mark = object["mrkdwn"], mark != .null, mark.bool == nil {
            leaveOut(Problem("\(place).mrkdwn is \(mark.typeName), not true or false"))
        }
        isMarkedUp = object["mrkdwn"]?.bool ?? false
        var problems: [Problem] = []
        attachments = AnswerAttachment.list(object["attachments"], at: "\(place).attachments", &problems)
        suggestions = AnswerSuggestion.list(object["suggestions"], at: "\(place).suggestions", &problems)
        switch object["thread"] {
        case nil, .null?: break
        case .bool(let isOwn)?: thread = isOwn ? .own : .none
        case .string(let id)?: thread = id.isBlank ? .none : .id(id)
        case let other?:
            problems.append(Problem("\(place).thread is \(other.typeName), not true, false or an identifier"))
        }
        // A reply of which nothing is left is shown as it was printed.
        if let problem = problems.first, text.isEmpty, attachments.isEmpty, suggestions.isEmpty { throw problem }
        for problem in problems { leaveOut(problem) }
    }

    /// Reads who sees the reply: only the person who asked if that cannot be read.
    private mutating func readType(_ value: JSONValue?, _ place: String) {
        switch value {
        case nil, .null?, .string("in_channel")?: break
        case .string("ephemeral")?: isPrivate = true
        case let other?:
            isPrivate = true
            let shown = other.string.map { Printable.name($0) } ?? other.typeName
            notes.append("\(place) is \(shown), not ephemeral or in_channel, so only the user who asked sees the reply")
        }
    }

    private mutating func leaveOut(_ problem: Problem) { notes.append("\(problem), and was left out") }

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

    /// The label with the line. A user who presses the button runs the line with their own rights.
    /// - Parameter prefix: The prefix of the bot, with which the label may state the line.
    func shown(prefix: String) -> String {
        [line, prefix + line].contains { $0.utf8.elementsEqual(label.utf8) } ? label : "\(label): \(line)"
    }

    /// Reads a list of lines, or of objects with `text` and `command`.
    /// - Parameter problems: The list to which what cannot be read is added.
    static func list(
        _ value: JSONValue?, at place: String, _ problems: inout [AnswerReply.Problem]
    ) -> [AnswerSuggestion] {
        guard let value, value != .null else { return [] }
        guard let items = value.array else {
            problems.append(AnswerReply.Problem("\(place) is \(value.typeName), not a list of lines"))
            return []
        }
        if items.count > most {
            problems.append(AnswerReply.Problem("\(place) has \(items.count) lines; \(most) is the maximum"))
        }
        var list: [AnswerSuggestion] = []
        for (index, item) in items.prefix(most).enumerated() {
            do throws(AnswerReply.Problem) {
                list.append(try AnswerSuggestion(item, at: "\(place)[\(index)]"))
            } catch {
                problems.append(error)
            }
        }
        return list
    }

    private init(_ item: JSONValue, at place: String) throws(AnswerReply.Problem) {
        let line = try AnswerReply.string(item["command"] ?? item, place) ?? ""
        let label = try AnswerReply.string(item["text"], "\(place).text") ?? line
        let shown = Printable.line(line)
        guard !shown.isBlank, shown.utf8.count <= Self.longest else {
            throw AnswerReply.Problem("\(place) is not a line of 1 to \(Self.longest) bytes")
        }
        self.init(label: label.isBlank ? shown : Printable.line(label), line: shown)
    }

    /// Creates a suggestion.
    init(label: String, line: String) { (self.label, self.line) = (label, line) }
}
