/// A message from a chat service. The backend has decoded its entities, links and mentions.
public struct ChatMessage: Sendable {
    /// The identifier of the message, unique within the backend. Replies refer to it as ``Address/inReplyTo``.
    public var id: String
    /// The person who sent the message.
    public var sender: Person
    /// The room of the message; nil in a direct chat.
    public var room: Room?
    /// The identifier of the thread, if the message is in one.
    public var thread: String?
    /// The text of the message.
    public var text: String {
        // The result of reading another text is not valid for this one.
        didSet { reading = nil }
    }
    /// True if the message addresses the bot by name, so that it needs no prefix.
    public var isAddressed: Bool
    /// The slash command that sent the text, with its slash, such as `/st2`; nil for a message with the prefix.
    public var slashCommand: String?
    /// The values of a submitted form, by field name; nil for a typed message. The text is then ``Form/line``.
    public var values: [String: String]?

    /// The result of reading the text before the names in the message were looked up.
    package var reading: Reading?

    /// The result of normalising a text and stripping its prefix.
    package struct Reading: Sendable {
        /// The line without the prefix; nil if the message is not for the bot.
        package var line: String?
        /// The policy that was used: prefixes may change while names are looked up.
        package var policy: Int

        package init(line: String?, policy: Int) {
            self.line = line
            self.policy = policy
        }
    }

    /// Creates a message.
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

    /// True if the message was sent in a direct chat.
    public var isDirect: Bool { room == nil }

    /// The room of the message, or its sender in a direct chat.
    public var place: Address.Place {
        room.map { .room($0.id) } ?? .direct(sender.id)
    }
}
