import Logging
import PetrelKit

/// JSON lines in both directions, for tests and scripts.
final class JSONLines: TextScreen {
    /// One line that goes out: to a room, or `to` a person. Every key is there, null where there is nothing.
    static func line(_ reply: Reply, at address: Address) -> String {
        var object = JSONObject()
        func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
        object.set("extra", .object(reply.extra))
        object.set("in_reply_to", text(address.inReplyTo))
        object.set("room", address.place.isDirect ? .null : .string(address.place.id))
        object.set("text", reply.text)
        object.set("thread", text(address.thread))
        object.set("to", address.place.isDirect ? .string(address.place.id) : .null)
        return String(decoding: object.finish(), as: UTF8.self)
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

    func show(_ reply: Reply, at address: Address) async -> CInt {
        await StandardStream.output.send(Self.line(reply, at: address) + "\n")
    }
}
