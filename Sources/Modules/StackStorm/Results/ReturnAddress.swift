import PetrelKit

/// Where a result goes back to. It travels through StackStorm as `source_context` and returns as `context`.
struct ReturnAddress: Equatable {
    var backend: String
    var place: Address.Place
    var thread: String?
    var message: String?
    var request: String
    /// The section of the configuration that asked; nil in what an older version sent.
    var instance: String?

    init(_ address: Address, request: String, instance: String? = nil) {
        self.instance = instance
        backend = address.backend
        place = address.place
        thread = address.thread
        message = address.inReplyTo
        self.request = request
    }

    /// Nil where the context is not Petrel's.
    init?(_ context: [String: JSONValue]?) {
        guard let own = context?["petrel"], let backend = own["backend"]?.string, let request = own["request"]?.string
        else { return nil }
        if let room = own["room"]?.string {
            place = .room(room)
        } else if let person = own["direct"]?.string {
            place = .direct(person)
        } else {
            return nil
        }
        self.backend = backend
        self.request = request
        instance = own["instance"]?.string
        thread = own["thread"]?.string
        message = own["message"]?.string
    }

    var context: [String: JSONValue] {
        var own: [String: JSONValue] = ["backend": .string(backend), "request": .string(request)]
        switch place {
        case .room(let id): own["room"] = .string(id)
        case .direct(let id): own["direct"] = .string(id)
        }
        own["instance"] = instance.map { .string($0) }
        own["thread"] = thread.map { .string($0) }
        own["message"] = message.map { .string($0) }
        return ["petrel": .object(own)]
    }

    /// With what people call who asked, and the room: StackStorm's own fields have the ids.
    func context(_ message: ChatMessage) -> [String: JSONValue] {
        var context = context
        context["user_name"] = .string(message.sender.name)
        context["channel_name"] = (message.room?.name).map { .string($0) }
        return context
    }

    var address: Address { Address(backend: backend, place: place, thread: thread, inReplyTo: message) }
}
