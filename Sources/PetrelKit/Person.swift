/// A person on a backend.
public struct Person: Hashable, Sendable {
    /// The identifier that the backend uses, such as a Slack `U…` id or a bare JID. Access rules and modules use it.
    public var id: String
    /// The display name, with its sigil: `@alice`.
    public var name: String
    /// True if the identifier is bound to one account. That of an occupant of an anonymous room is not.
    ///
    /// A person without a stable identifier is no administrator, whatever `admins` contains, cannot run commands that
    /// need a stable identity, such as a login, and cannot be found by name. Access rules match the identifier and the
    /// name of every person: they do not protect a service whose names anyone can take.
    public var isStable: Bool
    /// True if the name is available. Otherwise rules that deny names cannot be evaluated, and deny.
    public var isNamed: Bool

    /// Creates a person.
    public init(id: String, name: String, isStable: Bool = true, isNamed: Bool = true) {
        self.id = id
        self.name = name
        self.isStable = isStable
        self.isNamed = isNamed
    }
}

/// A room, channel or multi-user chat.
public struct Room: Hashable, Sendable {
    /// The identifier that the backend uses, such as a Slack `C…` id.
    public var id: String
    /// The display name, with its sigil: `#ops`.
    public var name: String
    /// True if the name is available.
    public var isNamed: Bool
    /// True if not everyone may see and enter the room, so that its name is not shown to people who are not in it.
    public var isPrivate: Bool

    /// Creates a room.
    public init(id: String, name: String, isNamed: Bool = true, isPrivate: Bool = false) {
        self.id = id
        self.name = name
        self.isNamed = isNamed
        self.isPrivate = isPrivate
    }
}
