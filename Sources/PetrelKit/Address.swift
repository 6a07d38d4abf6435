import PetrelSupport

/// The destination of a reply: a backend, a place on it, and a thread there.
public struct Address: Hashable, Sendable, Codable {
    /// A room or a person, by the identifier that the backend uses.
    public enum Place: Hashable, Sendable, Codable {
        /// A room.
        case room(String)
        /// A direct chat with a person.
        case direct(String)

        /// The identifier of the room or the person.
        public var id: String {
            switch self {
            case .room(let id), .direct(let id): id
            }
        }

        /// True for a direct chat.
        public var isDirect: Bool { if case .direct = self { true } else { false } }
    }

    /// The name of the backend, which is also the name of its section in the configuration.
    public var backend: String
    /// The room or the person.
    public var place: Place
    /// The identifier of the thread, if the backend supports threads.
    public var thread: String?
    /// The identifier of the message that the reply answers, if any.
    public var inReplyTo: String?

    /// Creates an address.
    public init(backend: String, place: Place, thread: String? = nil, inReplyTo: String? = nil) {
        self.backend = backend
        self.place = place
        self.thread = thread
        self.inReplyTo = inReplyTo
    }
}

extension Address {
    /// Creates the address for the answer to a message: the thread and the room of the message, or its sender.
    public init(answering message: ChatMessage, from backend: String) {
        self.init(
            backend: backend, place: message.place, thread: message.thread, inReplyTo: message.id)
    }
}
