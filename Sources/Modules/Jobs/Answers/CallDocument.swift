import PetrelKit
import PetrelSupport

/// The JSON object that a command receives on standard input: the arguments, and the person and the place of the call.
struct CallDocument: Sendable {
    /// The name of the command, and the arguments.
    var arguments: [String]
    /// The line, without the prefix.
    var text: String
    /// The person and the place.
    var caller: CommandCaller
    /// The identifier of the thread.
    var thread: String?
    /// The number of the job.
    var job: Int

    /// The object as one line of JSON.
    var bytes: [UInt8] {
        get throws {
            let object: JSONValue = [
                "argv": .array(arguments.map { .string($0) }), "text": .string(text),
                "user": Self.json(caller.person.id, caller.person.name),
                "room": caller.room.map { Self.json($0.id, $0.name) } ?? .null,
                "thread": thread.map { .string($0) } ?? .null, "backend": .string(caller.backend),
                "job": .integer(job),
            ]
            return try JSONValue.encode(object) + [0x0A]
        }
    }

    private static func json(_ id: String, _ name: String) -> JSONValue {
        ["id": .string(id), "name": .string(name)]
    }
}
