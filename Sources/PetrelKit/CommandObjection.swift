/// A person who calls a command, and the place.
public struct CommandCaller: Sendable, Hashable {
    /// The person.
    public var person: Person
    /// The room; nil in a direct chat.
    public var room: Room?
    /// The name of the backend.
    public var backend: String

    /// Creates a caller.
    public init(person: Person, room: Room?, backend: String) {
        self.person = person
        self.room = room
        self.backend = backend
    }
}

/// The objection of a command to a caller, besides the access rules; see ``Command/objection``.
public struct CommandObjection: Sendable, Hashable {
    /// The reason as a clause, which names the setting that decides: `jobs.commands.deploy.auth_strategy is none`.
    public var reason: String
    /// True if the caller gets no reply.
    public var isSilent: Bool

    /// Creates an objection.
    public init(_ reason: String, isSilent: Bool = false) {
        self.reason = reason
        self.isSilent = isSilent
    }
}
