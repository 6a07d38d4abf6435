import PetrelKit
import PetrelSupport
import PlugInProtocol

/// Reads the messages that a program delivers.
enum MessageWire {
    /// Reads the parameters of `deliver`. Throws an ``RPCError`` that names the member that is wrong.
    static func message(_ params: JSONValue) throws(RPCError) -> ChatMessage {
        let members = try Members(params)
        let sender = try Members(members["from"], "from")
        let id = try sender.string("id")
        let message = try members.string("id")
        guard !id.isEmpty, !message.isEmpty else { throw .parameters("`id` and `from.id` must not be empty") }
        let person = Person(
            id: id, name: try sender.optionalString("name") ?? id, isStable: try sender.bool("stable", default: true),
            isNamed: sender["name"] != nil)
        let values = try members.stringMap("values")
        return ChatMessage(
            id: message, sender: person, room: try room(members["room"]), thread: try members.optionalString("thread"),
            text: try members.string("text"), isAddressed: try members.bool("addressed", default: values != nil),
            slashCommand: try members.optionalString("slash_command"), values: values)
    }

    private static func room(_ value: JSONValue?) throws(RPCError) -> Room? {
        guard let value else { return nil }
        let room = try Members(value, "room")
        let id = try room.string("id")
        guard !id.isEmpty else { throw .parameters("`room.id` must not be empty") }
        return Room(
            id: id, name: try room.optionalString("name") ?? id, isNamed: room["name"] != nil,
            isPrivate: try room.bool("private"))
    }
}

/// The names that belong to a backend, by their first characters.
struct Names: Sendable {
    private var rooms: [String] = []
    private var people: [String] = []

    /// Creates a value without prefixes: every name may belong to the backend.
    init() {}

    /// Reads the member `names` of the result of `hello`.
    init(_ value: JSONValue?) throws(RPCError) {
        guard let value else { return }
        let names = try Members(value, "names")
        rooms = try names.strings("room_prefixes", atMost: 20).filter { !$0.isEmpty }
        people = try names.strings("person_prefixes", atMost: 20).filter { !$0.isEmpty }
    }

    /// Returns the interpretation of a name. `#` and `@` are common to many backends, so that a name with one of them
    /// only may belong to this one.
    func claim(_ name: String) -> PlaceClaim {
        func begins(_ prefix: String) -> Bool { name.utf8.starts(with: prefix.utf8) }
        func isCommon(_ prefix: String) -> Bool { ["#", "@"].contains { prefix.utf8.elementsEqual($0.utf8) } }
        if let prefix = people.first(where: begins) {
            return isCommon(prefix) ? .possible(.direct(name)) : .own(.direct(name))
        }
        if let prefix = rooms.first(where: begins) {
            return isCommon(prefix) ? .possible(.room(name)) : .own(.room(name))
        }
        return .possible(begins("@") ? .direct(name) : .room(name))
    }
}
