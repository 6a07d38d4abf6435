import PetrelSupport

/// Where a reply goes: a backend, a place in it, and a thread there.
public struct Address: Hashable, Sendable, Codable {
    /// A room or a person, by the backend's own identifier.
    public enum Place: Hashable, Sendable, Codable {
        case room(String)
        case direct(String)

        /// The bare identifier, as StackStorm gets it in `source_channel`.
        public var id: String {
            switch self {
            case .room(let id), .direct(let id): id
            }
        }

        public var isDirect: Bool { if case .direct = self { true } else { false } }
    }

    /// The instance name of the backend, which is its section in the configuration.
    public var backend: String
    public var place: Place
    /// The thread, where the backend has threads.
    public var thread: String?
    /// The message that is answered, where there is one.
    public var inReplyTo: String?

    public init(backend: String, place: Place, thread: String? = nil, inReplyTo: String? = nil) {
        self.backend = backend
        self.place = place
        self.thread = thread
        self.inReplyTo = inReplyTo
    }
}

extension Address {
    /// Where the answer to a message goes: its room or its sender, its thread.
    public init(answering message: ChatMessage, from backend: String) {
        self.init(
            backend: backend, place: message.place, thread: message.thread, inReplyTo: message.id)
    }
}
