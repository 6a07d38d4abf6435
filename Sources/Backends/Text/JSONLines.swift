import Logging
import PetrelKit

/// JSON lines in both directions, for tests and scripts.
final class JSONLines: TextScreen {
    /// One line that goes out: to a room, or `to` a person.
    struct Outgoing: Encodable {
        var room: String?
        var to: String?
        var text: String
        var thread: String?
        var in_reply_to: String?
        var extra: [String: JSONValue]

        init(_ reply: Reply, at address: Address) {
            switch address.place {
            case .room(let id): room = id
            case .direct(let id): to = id
            }
            text = reply.text
            thread = address.thread
            in_reply_to = address.inReplyTo
            extra = reply.extra
        }

        private enum CodingKeys: CodingKey { case room, to, text, thread, in_reply_to, extra }

        /// Every key is there, null where there is nothing.
        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(room, forKey: .room)
            try container.encode(to, forKey: .to)
            try container.encode(text, forKey: .text)
            try container.encode(thread, forKey: .thread)
            try container.encode(in_reply_to, forKey: .in_reply_to)
            try container.encode(extra, forKey: .extra)
        }
    }

    private let logger: Logger

    init(logger: Logger) {
        self.logger = logger
    }

    func messages() -> AsyncStream<ChatMessage> {
        let number = Locked(0)
        return LineReader.messages { [logger] line in
            let number = number.withLock { number in
                number += 1
                return number
            }
            if line.allSatisfy(\.isWhitespace) { return .nothing }
            do {
                return .message(try Self.message(line))
            } catch {
                logger.error("Line \(number) of the input is no message: \(error)")
                return .nothing
            }
        }
    }

    static func message(_ line: String) throws -> ChatMessage {
        let json: JSONValue
        do {
            json = try JSONValue.parse(line.utf8)
        } catch {
            throw Refusal("it is no JSON")
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

    func show(_ reply: Reply, at address: Address) {
        do {
            let bytes = try JSONValue.encode(Outgoing(reply, at: address))
            StandardStream.output.write(String(decoding: bytes, as: UTF8.self) + "\n")
        } catch {
            logger.error("A reply could not be written as JSON: \(error)")
        }
    }
}
