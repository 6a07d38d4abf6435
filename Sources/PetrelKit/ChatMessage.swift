/// One message from chat, already decoded by its backend (entities, links and mentions, once).
public struct ChatMessage: Sendable {
    /// Unique within the backend; what a reply names as the message it answers.
    public var id: String
    public var sender: Person
    /// The room it was said in; nil in a direct chat.
    public var room: Room?
    public var thread: String?
    public var text: String
    /// The bot was called by name, so that no prefix is needed.
    public var isAddressed: Bool
    /// The command with its slash by which the text came, such as `/st2`; nil for what was typed with the prefix.
    public var slashCommand: String?
    /// The answers of a form whose line the text is, by the names of its fields, as text; nil for what was typed.
    public var values: [String: String]?

    public init(
        id: String, sender: Person, room: Room? = nil, thread: String? = nil, text: String, isAddressed: Bool = false,
        slashCommand: String? = nil, values: [String: String]? = nil
    ) {
        self.id = id
        self.sender = sender
        self.room = room
        self.thread = thread
        self.text = text
        self.isAddressed = isAddressed
        self.slashCommand = slashCommand
        self.values = values
    }

    public var isDirect: Bool { room == nil }

    public var place: Address.Place {
        room.map { .room($0.id) } ?? .direct(sender.id)
    }
}
