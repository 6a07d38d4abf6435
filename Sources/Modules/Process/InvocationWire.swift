import PetrelKit
import PetrelSupport
import PlugInProtocol

/// Converts invocations to the parameters of `invoke`.
enum InvocationWire {
    static func json(_ invocation: Invocation, call: String, _ values: ArgumentGrammar.Values?) -> JSONValue {
        let message = invocation.message
        var object: [String: JSONValue] = [
            "call": .string(call), "command": .string(invocation.command), "text": .string(invocation.arguments),
            "person": [
                "id": .string(message.sender.id), "name": .string(message.sender.name),
                "stable": .bool(message.sender.isStable), "admin": .bool(invocation.isAdmin),
            ],
            "backend": .string(invocation.address.backend), "place": place(invocation),
            "message": .string(message.id), "prefix": .string(invocation.prefix),
            "traits": Wire.json(invocation.traits),
        ]
        object["arguments"] = values.map { .object($0.json) }
        object["values"] = message.values.map { .object($0.mapValues { .string($0) }) }
        return .object(object)
    }

    private static func place(_ invocation: Invocation) -> JSONValue {
        var place: [String: JSONValue] = [:]
        switch invocation.address.place {
        case .room(let id):
            place["room"] = .string(id)
            place["name"] = .string(invocation.message.room?.name ?? id)
        case .direct(let id):
            place["person"] = .string(id)
            place["name"] = .string(invocation.message.sender.name)
        }
        place["thread"] = invocation.address.thread.map { .string($0) }
        return .object(place)
    }
}
