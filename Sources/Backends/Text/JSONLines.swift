import Foundation
import Logging
import PetrelKit
import PetrelSupport

/// A screen that reads and writes JSON lines, for tests and scripts.
final class JSONLines: TextScreen {
    /// Returns the output line for a reply, addressed by `room` or `to`. All keys are present; missing values are null.
    static func line(_ reply: Reply, at address: Address) -> String {
        var object = JSONObject()
        func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
        object.set("extra", .object(reply.extra))
        object.set("in_reply_to", text(address.inReplyTo))
        object.set("private", .bool(reply.isPrivate || reply.isConfidential))
        object.set("room", address.place.isDirect ? .null : .string(address.place.id))
        object.set("text", reply.text)
        object.set("thread", text(address.thread))
        object.set("to", address.place.isDirect ? .string(address.place.id) : .null)
        return String(decoding: object.finish(), as: UTF8.self)
    }

    private let reader: LineReader
    private let output: StandardStream

    init(from input: FileHandle, to output: StandardStream, logger: Logger) {
        self.output = output
        let desk = Desk(output: output, logger: logger)
        reader = LineReader(input) { desk.outcome(of: $0) }
    }

    func messages() -> AsyncStream<ChatMessage> {
        AsyncStream { [reader] in await reader.next() }
    }

    /// Converts input lines, and reports those that are not processed.
    private final class Desk: Sendable {
        private let output: StandardStream
        private let logger: Logger
        private let recent = Locked(RecentIDs())
        private let count = Locked(0)

        init(output: StandardStream, logger: Logger) {
            self.output = output
            self.logger = logger
        }

        func outcome(of line: String) -> LineReader.Outcome {
            let number = count.withLock { count in
                count += 1
                return count
            }
            if line.unicodeScalars.allSatisfy(\.properties.isWhitespace) { return .nothing }
            do {
                return take(try JSONLines.message(line), line, number)
            } catch {
                logger.error("Line \(number) of the input is not a valid message: \(error).")
                say("\(error)", of: line, number)
                return .nothing
            }
        }

        /// Returns the message, or `.nothing` and reports an error if its ID is a duplicate.
        private func take(_ message: ChatMessage, _ line: String, _ number: Int) -> LineReader.Outcome {
            if recent.withLock({ $0.insert(message.id) }) { return .message(message) }
            logger.notice(
                "Line \(number) of the input was ignored: it repeats the ID \(Printable.name(message.id)).")
            say("duplicate id: a message with this id was already processed", of: line, number)
            return .nothing
        }

        /// Writes an error line. Blocks; called on the thread that reads the input, which may wait.
        private func say(_ fault: String, of line: String, _ number: Int) {
            output.write(JSONLines.fault(fault, in: line, number) + "\n")
        }
    }

    /// Returns the output line for an input line that is not processed, with `error` instead of `text`.
    static func fault(_ fault: String, in line: String, _ number: Int) -> String {
        let id: JSONValue = (try? JSONValue.parse(line.utf8))?["id"]?.string.map { .string($0) } ?? .null
        var object = JSONObject()
        object.set("error", fault)
        object.set("in_reply_to", id)
        object.set("line", .integer(number))
        return String(decoding: object.finish(), as: UTF8.self)
    }

    /// Parses an input line. Throws ``Refusal`` with the reason if it is not a valid message.
    static func message(_ line: String) throws -> ChatMessage {
        let json: JSONValue
        do {
            json = try JSONValue.parse(line.utf8)
        } catch {
            throw Refusal(JSONValue.reason(of: error, in: line.utf8))
        }
        func text(_ key: String) throws -> String? {
            guard let value = json[key], value != .null else { return nil }
            guard let text = value.string else { throw Refusal("`\(key)` must be a string, not \(value.typeName)") }
            return text
        }
        func required(_ key: String) throws -> String {
            guard let value = try text(key) else { throw Refusal("`\(key)` is missing") }
            return value
        }
        let sender = try required("from")
        return ChatMessage(
            id: try required("id"), sender: Person(id: sender, name: sender),
            room: try text("room").map { Room(id: $0, name: $0) }, thread: try text("thread"),
            text: try required("text"))
    }

    func show(_ reply: Reply, at address: Address) async -> CInt {
        await output.send(Self.line(reply, at: address) + "\n")
    }
}

/// A bounded set of recent message IDs: at least the last 10,000, at most 20,000.
struct RecentIDs: Sendable {
    private static let most = 10_000
    private var recent: Set<String> = []
    private var older: Set<String> = []

    /// Inserts an ID. Returns true if the set did not contain it.
    mutating func insert(_ id: String) -> Bool {
        guard !recent.contains(id), !older.contains(id) else { return false }
        if recent.count == Self.most { (older, recent) = (recent, []) }
        recent.insert(id)
        return true
    }
}
