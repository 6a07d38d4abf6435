/// Who sent a message, in the words of the backend that delivered it.
public struct Person: Hashable, Sendable {
    /// The backend's own identifier, such as a Slack `U…` id or a bare JID. Access rules and StackStorm see this one.
    public var id: String
    /// What people call them, with its sigil: `@alice`.
    public var name: String
    /// Whether the identifier is bound to one account. An occupant of an anonymous room is not.
    public var isStable: Bool
    /// Whether the name could be had. Where it could not, no rule that goes by names can be trusted.
    public var isNamed: Bool

    public init(id: String, name: String, isStable: Bool = true, isNamed: Bool = true) {
        self.id = id
        self.name = name
        self.isStable = isStable
        self.isNamed = isNamed
    }
}

/// A room, channel or multi-user chat.
public struct Room: Hashable, Sendable {
    /// The backend's own identifier, such as a Slack `C…` id.
    public var id: String
    /// What people call it, with its sigil: `#ops`.
    public var name: String
    /// Whether the name could be had.
    public var isNamed: Bool

    public init(id: String, name: String, isNamed: Bool = true) {
        self.id = id
        self.name = name
        self.isNamed = isNamed
    }
}
